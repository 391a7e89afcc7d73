// Mixpanel's client for Node, as its README shows it: events, an alias, profiles, an import in batches.
const Mixpanel = require("mixpanel");

const [address, token, secret] = process.argv.slice(2);
const { hostname, port } = new URL(address);
const settings = { host: hostname, port: Number(port), protocol: "http", key: secret, verbose: true };
const client = Mixpanel.init(token, settings);
const failures = [];

function done(name, call) {
  return new Promise((resolve) => {
    call((error) => {
      const wrong = Array.isArray(error) ? error.filter(Boolean) : error;
      if (wrong && (!Array.isArray(wrong) || wrong.length)) failures.push(`${name}: ${wrong}`);
      resolve();
    });
  });
}

(async () => {
  const device = "0b0f7d52-55a8-4be5-a1f0-67c1c7a7a1f2";
  await done("track", (then) => client.track("Viewed page", { distinct_id: device, emoji: "☃" }, then));
  await done("identify", (then) =>
    client.track("$identify", { distinct_id: "ana", $anon_id: device, $identified_id: "ana" }, then));
  await done("alias", (then) => client.alias("ana", "crm-17", then));
  await done("set", (then) => client.people.set("ana", { $name: "Ana", plan: "pro" }, then));
  await done("increment", (then) => client.people.increment("ana", "visits", 2, then));
  await done("append", (then) => client.people.append("ana", "seen", "shoes", then));
  await done("group", (then) => client.groups.set("company", "acme", { size: 1 }, then));
  const events = [...Array(120).keys()].map((number) => ({
    event: `Imported ${number}`,
    properties: { distinct_id: "ana", time: new Date(1704164645000 + number * 1000) },
  }));
  await done("import", (then) => client.import_batch(events, then));
  await done("merge", (then) =>
    client.import("$merge", new Date(1704164645000), { $distinct_ids: ["ana", "ben"] }, then));
  console.log(JSON.stringify(failures));
})();
