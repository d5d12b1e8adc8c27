// Backups of certificates.

import assert from "node:assert/strict";
import { operation, refused } from "./report.js";
import { base64, client, load, remove, versionsOf } from "./vault.js";

export async function backups(prefix) {
  const name = `${prefix}-kept`;
  let backup;

  await operation("back up and restore", async () => {
    await load(name, "rsa.pfx", { tags: { colour: "blue" } });
    const before = await load(name, "rsa.pfx");
    const versions = await versionsOf(name);
    backup = await client.backupCertificate(name);
    await remove(name);
    await client.purgeDeletedCertificate(name);
    const restored = await client.restoreCertificateBackup(backup);
    assert.deepEqual(restored.properties, before.properties);
    assert.equal(base64(restored.cer), base64(before.cer));
    assert.equal(base64((await client.getCertificate(name)).cer), base64(before.cer));
    assert.deepEqual(await versionsOf(name), versions);
  });

  await operation("restore over a certificate is refused", async () => {
    const saying = "There was a conflict restoring the certificate";
    await refused(409, "Conflict", client.restoreCertificateBackup(backup), saying);
    await remove(name);
    await refused(409, "Conflict", client.restoreCertificateBackup(backup));
  });

  await operation("restore of anything else is refused", async () => {
    const text = client.restoreCertificateBackup(Buffer.from("no backup"));
    await refused(400, "Malformed backup blob", text, "Backup blob is corrupt.");
    const zeros = client.restoreCertificateBackup(new Uint8Array(4728));
    await refused(400, "Malformed backup blob", zeros, "Backup blob contains invalid or corrupt version.");
  });
}
