// mixpanel-browser on the pages of a shop whose server sends events too.
//
// node visits.js SHOP API TOKEN CHROMIUM
const { chromium } = require("playwright-core");

const [shop, api, token, executablePath] = process.argv.slice(2);
const complaints = [];

async function visitor(browser) {
  const tab = await (await browser.newContext()).newPage();
  tab.setDefaultTimeout(120000);
  tab.on("pageerror", (error) => complaints.push(String(error)));
  return tab;
}

async function open(tab, path) {
  await tab.goto(shop + path);
  const sent = tab.waitForResponse((response) => {
    const data = decodeURIComponent(response.request().postData() ?? "");
    return response.url().startsWith(`${api}/track`) && data.includes(`"Loaded ${path}"`);
  });
  await tab.evaluate(
    ([token, api, path]) => {
      const settings = { api_host: api, api_payload_format: "json", batch_flush_interval_ms: 50 };
      mixpanel.init(token, settings);
      mixpanel.track(`Loaded ${path}`);
    },
    [token, api, path],
  );
  await sent;
}

const device = (tab) => tab.evaluate(() => mixpanel.get_property("$device_id"));
const ours = async (tab) => {
  const cookies = await tab.context().cookies();
  return cookies.find((cookie) => cookie.name === "idmerge_device");
};

(async () => {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  const found = {};

  const ana = await visitor(browser); // An anonymous page, then a login on the server.
  await open(ana, "/");
  found.first = (await ours(ana)).value.split(".")[0];
  found.cookie = await ours(ana);
  found.script = await ana.evaluate(() => document.cookie);
  await open(ana, "/shoes");
  found.page = await device(ana);
  await open(ana, "/login?user=ana");
  await open(ana, "/shirts");
  await open(ana, "/logout"); // A second user on the same device, without a reset.
  await open(ana, "/login?user=ben");
  await open(ana, "/hats");

  const carla = await visitor(browser); // The same with a reset, of the page's too.
  await open(carla, "/");
  await open(carla, "/login?user=carla");
  found.carla = await device(carla);
  await open(carla, "/logout?reset=1");
  await carla.evaluate(() => mixpanel.reset());
  await open(carla, "/scarves");
  found.dan = await device(carla);
  await open(carla, "/login?user=dan");

  await browser.close();
  console.log(JSON.stringify({ found, complaints }));
})();
