// mixpanel-import sends 2,500 events, and says what became of them.
const Job = require("mixpanel-import/components/job.js");
const importer = require("mixpanel-import");

const [address, token, secret, count] = process.argv.slice(2);
Object.defineProperty(Job.prototype, "url", { get: () => `${address}/import` });

const events = [...Array(Number(count)).keys()].map((number) => ({
  event: `E${number}`,
  properties: { distinct_id: `user ${number % 10}`, time: 1764500000 + number, $insert_id: `i-${number}`, number },
}));
events.push({
  event: "$merge",
  properties: { $distinct_ids: ["user 0", "crm-0"], time: 1764500000, $insert_id: "merge-0" },
});

(async () => {
  const options = {
    recordType: "event",
    strict: true,
    compress: true,
    transport: "got",
    fixData: false,
    verbose: false,
    logs: false,
    abridged: false,
  };
  const { success, failed, errors, total } = await importer({ token, secret }, events, options);
  console.log(JSON.stringify({ events, success, failed, errors, total }));
})();
