// mixpanel-browser in Chromium, through the flows of Mixpanel's guide to identifying users.
const { chromium } = require("playwright-core");

const [page, api, token, executablePath] = process.argv.slice(2);
const complaints = [];

async function visitor(browser) {
  const context = await browser.newContext();
  const tab = await context.newPage();
  tab.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  tab.on("pageerror", (error) => complaints.push(String(error)));
  await start(tab);
  return tab;
}

async function start(tab) {
  await tab.goto(page);
  await tab.evaluate(
    ([token, api]) => {
      mixpanel.init(token, { api_host: api, persistence: "localStorage", batch_flush_interval_ms: 200 });
    },
    [token, api],
  );
}

const track = (tab, name) => tab.evaluate((name) => mixpanel.track(name), name);
const identify = (tab, id) => tab.evaluate((id) => mixpanel.identify(id), id);
const device = (tab) => tab.evaluate(() => mixpanel.get_property("$device_id"));
const pause = (tab, ms) => tab.waitForTimeout(ms);

(async () => {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  const found = {};

  const phone = await visitor(browser); // A new user.
  await track(phone, "Viewed page");
  found.phone = await device(phone);
  await identify(phone, "ana");
  await phone.evaluate(() => mixpanel.people.set({ $name: "Ana" }));
  await track(phone, "Signed up");
  await phone.evaluate(() => mixpanel.alias("ana@example.com", "ana"));

  const laptop = await visitor(browser); // The same user on a new device.
  await track(laptop, "Viewed page");
  found.laptop = await device(laptop);
  await identify(laptop, "ana");
  await track(laptop, "Logged in");

  const shared = await visitor(browser); // Two users on one device, with a reset between them.
  await identify(shared, "ben");
  found.shared = await device(shared);
  await track(shared, "Logged in");
  await shared.evaluate(() => mixpanel.reset());
  await track(shared, "Viewed page");
  found.after = await device(shared);
  await identify(shared, "carla");

  const careless = await visitor(browser); // Two users on one device, without one.
  await identify(careless, "dan");
  found.careless = await device(careless);
  await track(careless, "Logged in");
  await identify(careless, "eva");
  await track(careless, "Logged in");

  const leaving = await visitor(browser); // A page that is left sends what it has.
  await leaving.evaluate(() => mixpanel.set_config({ batch_flush_interval_ms: 60000 }));
  await track(leaving, "Left the page");
  found.leaving = await device(leaving);
  await leaving.goto("about:blank");
  let isSentAgain = false; // What the beacon has sent stays in the queue, and the next page sends it.
  leaving.on("request", (request) => {
    const data = new URLSearchParams(request.postData() ?? "").get("data") ?? "";
    const text = [data, Buffer.from(data, "base64").toString()].join();
    isSentAgain ||= text.includes("Left the page");
  });
  await start(leaving);
  for (let waited = 0; waited < 60000 && !isSentAgain; waited += 500) await pause(leaving, 500);
  await pause(careless, 3000);
  await browser.close();
  console.log(JSON.stringify({ found, complaints }));
})();
