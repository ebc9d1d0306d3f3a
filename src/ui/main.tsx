/** Starts the dashboard. */
import { render } from "preact";
import { App } from "./app.tsx";
import { followLinks } from "./live/address.ts";
import { startClock } from "./live/clock.ts";
import { followEvents } from "./live/events.ts";
import { keepFocus } from "./live/focus.ts";
import { followMe } from "./live/me.ts";
import { followMesh } from "./live/mesh.ts";
import { addRefusal } from "./live/receipts.ts";
import { readLogin } from "./live/session.ts";
import { guardTexts } from "./shown.ts";

const root = document.getElementById("page");
if (root === null) throw new Error("the page has no place to render into");
// After an upgrade of the peer, the parts of the old page that are loaded later are gone.
addEventListener("vite:preloadError", () =>
  addRefusal(new Error("A part of this page could not be loaded. Load the page again.")),
);
guardTexts();
followLinks();
keepFocus();
startClock();
followEvents();
followMesh();
followMe();
void readLogin();
render(<App />, root);
