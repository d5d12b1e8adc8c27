// Certificates that come with their keys.

import assert from "node:assert/strict";
import { material } from "./ca.js";
import { notOffered, operation, refused } from "./report.js";
import { base64, client, load, versionsOf } from "./vault.js";

// Says only how the client encodes what it imports: as text, or else in base64.
const pem = { policy: { contentType: "application/x-pem-file" } };

export async function imports(prefix) {
  await operation("import PKCS #12", async () => {
    const imported = await load(`${prefix}-pfx`, "rsa.pfx");
    assert.equal(base64(imported.cer), base64(material("rsa.der")));
    const { enabled } = imported.properties;
    const { issuerName, keyType, keySize, contentType } = imported.policy;
    assert.deepEqual([enabled, issuerName, keyType, keySize], [true, "Unknown", "RSA", 2048]);
    assert.equal(contentType, "application/x-pkcs12");
    const stored = await client.getCertificate(`${prefix}-pfx`);
    assert.equal(base64(stored.cer), base64(imported.cer));
  });

  await operation("import PKCS #12 with a password", async () => {
    const options = { password: "a password", tags: { colour: "blue" } };
    const imported = await load(`${prefix}-password`, "password.pfx", options);
    assert.equal(base64(imported.cer), base64(material("rsa.der")));
    assert.deepEqual(imported.properties.tags, options.tags);
  });

  for (const [name, options] of [
    ["import PEM", pem],
    ["import PEM in base64", {}],
  ]) {
    await operation(name, async () => {
      const imported = await load(`${prefix}-pem`, "ec.pem", options);
      assert.equal(base64(imported.cer), base64(material("ec.der")));
      const { keyType, keyCurveName, contentType } = imported.policy;
      assert.deepEqual([keyType, keyCurveName, contentType], ["EC", "P-256", "application/x-pem-file"]);
    });
  }

  await operation("import a chain in any order", async () => {
    const imported = await load(`${prefix}-chain`, "chain.pem", { ...pem, preserveCertificateOrder: true });
    assert.equal(base64(imported.cer), base64(material("ec.der")));
    assert.equal(imported.properties.preserveCertificateOrder, true);
  });

  notOffered("import disabled, keeping the order of the chain", "the client does not send enabled when it imports");

  await operation("import a new version", async () => {
    const imported = await load(`${prefix}-pfx`, "ec.pem", pem);
    const latest = await client.getCertificate(`${prefix}-pfx`);
    assert.equal(latest.properties.version, imported.properties.version);
    assert.equal((await versionsOf(`${prefix}-pfx`)).length, 2);
  });

  await operation("what cannot be imported is refused", async () => {
    const bad = `${prefix}-bad`;
    await refused(400, "BadParameter", load(bad, "password.pfx", { password: "another" }), "PKCS#12");
    await refused(400, "BadParameter", load(bad, "keyless.pem", pem), "private key");
    await refused(400, "BadParameter", load(bad, "rsa.der"), "PKCS#12");
    await refused(404, "CertificateNotFound", client.getCertificate(bad));
  });
}
