"""The public contract between the hub and its devices: topics and messages, nothing else.

Both sides import it and it imports neither. The web apps get the same models as TypeScript types
(`make contract` writes `devices/web/contract.ts`; `make check` fails when it is out of date).
"""
