// The libraries of Segment and RudderStack for Node: calls of one person, and their errors.
const { Analytics } = require("@segment/analytics-node");
const RudderAnalytics = require("@rudderstack/rudder-sdk-node");

const [library, address, token, device] = process.argv.slice(2);
const failures = [];

const calls = [
  ["track", { anonymousId: device, event: "Viewed page", properties: { emoji: "☃" } }],
  ["identify", { anonymousId: device, userId: "ana", traits: { plan: "pro" } }],
  ["page", { userId: "ana", name: "Home" }],
  ["group", { userId: "ana", groupId: "acme" }],
  ["alias", { previousId: "ana", userId: "crm-17" }],
  ["track", { userId: "ben", event: "Paid" }],
];

async function segment() {
  const client = new Analytics({ writeKey: token, host: address });
  client.on("error", (error) => failures.push(String(error.reason ?? error.code)));
  for (const [name, call] of calls) client[name](call);
  await client.closeAndFlush();
}

async function rudder() {
  const client = new RudderAnalytics(token, { dataPlaneUrl: address, flushAt: 1, logLevel: "error" });
  for (const [name, call] of calls) {
    await new Promise((resolve) => {
      client[name](call, (error) => {
        if (error) failures.push(String(error));
        resolve();
      });
    });
  }
  await client.flush();
}

(async () => {
  await (library === "segment" ? segment() : rudder());
  console.log(JSON.stringify(failures));
  process.exit(0);
})();
