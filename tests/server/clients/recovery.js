// mixpanel-browser in Chromium, whose server refuses some requests: it sends when a line of input
// comes, ends when the input does, and prints the statuses of all answers.
const { chromium } = require("playwright-core");

const [page, api, token, executablePath, count, size] = process.argv.slice(2);
const statuses = [];

(async () => {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  const tab = await (await browser.newContext()).newPage();
  tab.on("response", (response) => {
    if (response.url().startsWith(api)) statuses.push(response.status());
  });
  tab.on("requestfailed", (request) => {
    if (request.url().startsWith(api)) statuses.push(request.failure().errorText);
  });
  await tab.goto(page);
  await tab.evaluate(
    ([token, api]) => {
      const settings = { persistence: "localStorage", batch_autostart: false, batch_flush_interval_ms: 300 };
      mixpanel.init(token, { api_host: api, ...settings });
    },
    [token, api],
  );
  console.log("ready");
  await new Promise((resolve) => process.stdin.once("data", resolve));
  await tab.evaluate(
    ([count, size]) => {
      for (let number = 0; number < count; number++) {
        // The client cuts longer texts, and its queue has room for 5 million characters: of three bytes.
        const texts = Array(Math.ceil(size / 250)).fill("☃".repeat(250));
        mixpanel.track(`E${number}`, { texts });
      }
    },
    [Number(count), Number(size)],
  );
  await tab.waitForTimeout(2000); // Events come into the queue one after the other.
  await tab.evaluate(() => mixpanel.start_batch_senders());
  await new Promise((resolve) => process.stdin.on("end", resolve));
  await browser.close();
  console.log(JSON.stringify(statuses));
})();
