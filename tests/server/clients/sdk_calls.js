// What mixpanel-browser in Chromium makes of sequences of calls: the events and updates that it queues.
//
// node sdk_calls.js PAGE CHROMIUM < SEQUENCES. Each sequence is a list of calls, each a list: its name
// and its arguments. "stored" is what the browser has stored before, "reload" a new load of the page.
const { readFileSync } = require("node:fs");
const { chromium } = require("playwright-core");

const [page, executablePath] = process.argv.slice(2);

async function played([number, calls]) {
  const token = `t${number}`;
  const settings = {
    api_host: "http://127.0.0.1:9",
    persistence: "localStorage",
    batch_autostart: false,
    track_marketing: false,
    skip_first_touch_marketing: true,
    save_referrer: false,
    stop_utm_persistence: true,
    ignore_dnt: true,
  };
  const sent = [];
  let loads = 0;
  let sdk = null;
  const load = () => {
    sdk = mixpanel.init(token, settings, `${token}-${loads++}`);
    sdk._batch_requests = true;
    for (const [kind, route] of [["events", "track"], ["people", "engage"]]) {
      sdk.request_batchers[kind].enqueue = (item) => {
        sent.push([route, JSON.parse(JSON.stringify(item))]);
        return Promise.resolve(true);
      };
    }
  };
  for (const [name, ...given] of calls) {
    if (name === "stored") {
      localStorage.setItem(`mp_${token}_mixpanel`, JSON.stringify(given[0]));
      continue;
    }
    if (sdk === null || name === "reload") load();
    if (name === "reload") continue;
    if (name.startsWith("people.")) sdk.people[name.slice(7)](...given);
    else sdk[name](...given);
    await new Promise((resolve) => setTimeout(resolve, 0)); // What `alias` does then is in a promise.
  }
  return sent;
}

(async () => {
  const sequences = JSON.parse(readFileSync(0, "utf-8"));
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  const tab = await (await browser.newContext()).newPage();
  await tab.goto(page);
  const sent = [];
  for (const [number, calls] of sequences.entries()) sent.push(await tab.evaluate(played, [number, calls]));
  await browser.close();
  console.log(JSON.stringify(sent));
})();
