// What can be changed: versions, policies and issuers.

import assert from "node:assert/strict";
import { operation, refused } from "./report.js";
import { client, load } from "./vault.js";

export async function changes(prefix) {
  const name = `${prefix}-changed`;
  const update = async (version, options) =>
    (await client.updateCertificateProperties(name, version, options)).properties;
  let before;

  await operation("update the latest version", async () => {
    before = (await load(name, "rsa.pfx", { tags: { colour: "blue" } })).properties;
    const tagged = await update("", { tags: { colour: "red" } });
    assert.deepEqual([tagged.version, tagged.tags], [before.version, { colour: "red" }]);
    assert.ok(tagged.updatedOn > before.updatedOn);
    const off = await update("", { enabled: false });
    assert.deepEqual([off.enabled, off.tags], [false, { colour: "red" }]);
    assert.ok(off.updatedOn > tagged.updatedOn);
  });

  await operation("update a version", async () => {
    const { properties } = await load(name, "rsa.pfx");
    assert.notEqual(properties.version, before.version);
    const updated = await update(before.version, { enabled: true, tags: {} });
    assert.deepEqual([updated.version, updated.enabled, updated.tags ?? {}], [before.version, true, {}]);
    await refused(404, "CertificateNotFound", update("0".repeat(32), { enabled: true }), "not found");
  });

  await operation("update a policy", async () => {
    const pending = `${prefix}-policy`;
    const policy = {
      issuerName: "Unknown",
      certificateTransparency: false,
      subject: "CN=policy.example.com",
      subjectAlternativeNames: { dnsNames: ["policy.example.com"] },
      exportable: true,
      keyType: "RSA",
      keySize: 2048,
      reuseKey: true,
      keyUsage: ["dataEncipherment"],
      enhancedKeyUsage: ["1.3.6.1.5.5.7.3.1"],
      contentType: "application/x-pkcs12",
      validityInMonths: 12,
      lifetimeActions: [{ action: "EmailContacts", lifetimePercentage: 98, daysBeforeExpiry: undefined }],
    };
    const stored = async () => {
      const found = await client.getCertificatePolicy(pending);
      return Object.fromEntries(Object.keys(policy).map((field) => [field, found[field]]));
    };
    await client.beginCreateCertificate(pending, policy);
    assert.deepEqual(await stored(), policy);
    // This client always sends all groups, so the whole of the policy is needed.
    const updated = { ...policy, keyType: "EC", keySize: 384, keyCurveName: "P-384", reuseKey: false };
    await client.updateCertificatePolicy(pending, updated);
    const { keyCurveName, ...rest } = updated;
    assert.deepEqual(await stored(), rest);
    assert.equal((await client.getCertificatePolicy(pending)).keyCurveName, keyCurveName);
  });

  await operation("administrators of an issuer", async () => {
    const administrator = { firstName: "First", lastName: "Last", email: "first@example.com", phone: "1234" };
    const options = { enabled: true, accountId: "account", administratorContacts: [administrator] };
    await client.createIssuer(name, "Test", options);
    const stored = await client.getIssuer(name);
    assert.deepEqual([stored.administratorContacts, stored.enabled], [[administrator], true]);
    const second = { firstName: "Second", lastName: undefined, email: undefined, phone: undefined };
    const updated = await client.updateIssuer(name, { administratorContacts: [second] });
    assert.deepEqual([updated.administratorContacts, updated.accountId], [[second], "account"]);
    assert.deepEqual((await client.deleteIssuer(name)).administratorContacts, [second]);
  });
}

/** A vault has one set of contacts: no other client may change it meanwhile. */
export async function contacts() {
  await operation("set, get and delete contacts", async () => {
    const wanted = [{ email: "one@example.com", name: "One", phone: "1" }, { email: "two@example.com" }];
    const plain = (found) => JSON.parse(JSON.stringify(found));
    assert.deepEqual(plain(await client.setContacts(wanted)), wanted);
    assert.deepEqual(plain(await client.getContacts()), wanted);
    await client.deleteContacts(); // what this client returns is always empty
    await refused(404, "ContactsNotFound", client.getContacts(), "not found");
    await refused(404, "ContactsNotFound", client.deleteContacts(), "not found");
  });
}
