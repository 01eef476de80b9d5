"use strict";
// The list is fetched anew when the server names a new mail, so what one reads stays where it is.
const changes = new EventSource("/changes");
const renew = async () => {
  const answer = await fetch("/");
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.title = page.title;
  document.getElementById("mails").replaceWith(page.getElementById("mails"));
};
changes.onmessage = renew;
let wasLost = false;
changes.onerror = () => {
  wasLost = true;
};
changes.onopen = () => {
  if (wasLost) renew();
  wasLost = false;
};
