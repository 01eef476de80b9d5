/** IndexedDB with promises, as much of it as we need. */

/** Opens the database of one app and makes its object stores, whose records carry their key in `id`. */
export function openDatabase(name: string, stores: string[]): Promise<IDBDatabase> {
  const opening = indexedDB.open(name, 1);
  opening.addEventListener("upgradeneeded", () => {
    for (const store of stores) opening.result.createObjectStore(store, { keyPath: "id" });
  });
  return answered(opening);
}

export function answered<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error));
  });
}

/** Resolves when the change is durable. */
export function written(
  database: IDBDatabase,
  store: string,
  change: (records: IDBObjectStore) => void,
): Promise<void> {
  const transaction = database.transaction(store, "readwrite", { durability: "strict" });
  change(transaction.objectStore(store));
  return new Promise((resolve, reject) => {
    transaction.addEventListener("complete", () => resolve());
    transaction.addEventListener("abort", () => reject(transaction.error));
  });
}
