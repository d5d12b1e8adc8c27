// The lifecycle of certificates: issuance by the vault, by an issuer and by hand, and
// what becomes of certificates in the end.

import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { sign } from "./ca.js";
import { operation, refused } from "./report.js";
import { base64, becomes, client, namesIn, pending, vaultUrl, versionsOf } from "./vault.js";

const elliptic = (issuerName, subject) => ({ issuerName, subject, keyType: "EC", keyCurveName: "P-256" });

const policy = {
  issuerName: "Self",
  subject: "CN=self.example.com",
  subjectAlternativeNames: { dnsNames: ["self.example.com", "www.self.example.com"] },
  validityInMonths: 6,
};

export async function lifecycle(prefix) {
  const own = `${prefix}-self`;
  const manual = `${prefix}-manual`;
  const held = `${prefix}-held`;
  const issuer = `${prefix}-issuer`;
  const cancelled = `${prefix}-cancelled`;
  // What one operation finds and a later one needs.
  let certificate, latest, waiting, first, old, second, doomed, deleted;

  await operation("create with issuer Self", async () => {
    const creation = await client.beginCreateCertificate(own, policy);
    certificate = await creation.pollUntilDone();
    assert.equal(certificate.name, own);
    assert.equal(certificate.properties.enabled, true);
    assert.equal(
      Buffer.from(certificate.properties.x509Thumbprint).toString("hex"),
      createHash("sha1").update(certificate.cer).digest("hex"),
    );
    const leaf = new X509Certificate(certificate.cer);
    assert.equal(leaf.subject, "CN=self.example.com");
    assert.equal(leaf.subjectAltName, "DNS:self.example.com, DNS:www.self.example.com");
    const done = await pending(own);
    assert.equal(done.status, "completed");
    assert.equal(done.target, `${vaultUrl}/certificates/${own}`);
  });

  await operation("read certificate, version and policy", async () => {
    latest = await client.getCertificate(own);
    assert.equal(latest.properties.version, certificate.properties.version);
    const version = await client.getCertificateVersion(own, latest.properties.version);
    assert.equal(base64(version.cer), base64(latest.cer));
    assert.equal(version.keyId, `${vaultUrl}/keys/${own}/${latest.properties.version}`);
    assert.equal(version.secretId, `${vaultUrl}/secrets/${own}/${latest.properties.version}`);
    const stored = await client.getCertificatePolicy(own);
    assert.equal(stored.issuerName, "Self");
    assert.equal(stored.validityInMonths, 6);
    assert.deepEqual(stored.subjectAlternativeNames.dnsNames, policy.subjectAlternativeNames.dnsNames);
    assert.deepEqual([stored.keyType, stored.keySize, stored.exportable], ["RSA", 2048, true]);
  });

  await operation("list certificates and versions", async () => {
    assert.ok((await namesIn(client.listPropertiesOfCertificates())).includes(own));
    assert.deepEqual(await versionsOf(own), [latest.properties.version]);
  });

  await operation("delete the operation", async () => {
    assert.equal((await client.deleteCertificateOperation(own)).status, "completed");
    await refused(404, "PendingCertificateNotFound", client.getCertificateOperation(own));
    await refused(404, "PendingCertificateNotFound", client.deleteCertificateOperation(own));
  });

  await operation("create with issuer Unknown", async () => {
    await client.beginCreateCertificate(manual, elliptic("Unknown", "CN=manual.example.com"));
    waiting = await pending(manual);
    assert.equal(waiting.status, "inProgress");
    const shell = await client.getCertificate(manual);
    assert.deepEqual([shell.properties.enabled, shell.cer], [false, undefined]);
    assert.ok(!(await namesIn(client.listPropertiesOfCertificates())).includes(manual));
    assert.ok((await namesIn(client.listPropertiesOfCertificates({ includePending: true }))).includes(manual));
    await refused(409, "Forbidden", client.beginCreateCertificate(manual, elliptic("Unknown", "CN=manual.example.com")));
  });

  await operation("merge", async () => {
    const chain = await sign(waiting.csr);
    const merged = await client.mergeCertificate(manual, chain);
    assert.equal(base64(merged.cer), base64(chain[0]));
    assert.equal(merged.properties.enabled, true);
    assert.equal((await pending(manual)).status, "completed");
  });

  await operation("set, update, get and list an issuer", async () => {
    await client.createIssuer(issuer, "Test", { accountId: "account", password: "secret", organizationId: "issue" });
    await client.updateIssuer(issuer, { organizationId: "hold" });
    const found = await client.getIssuer(issuer);
    assert.deepEqual([found.provider, found.organizationId], ["Test", "hold"]);
    assert.deepEqual([found.accountId, found.password], ["account", undefined]);
    const issuers = [];
    for await (const item of client.listPropertiesOfIssuers()) issuers.push(item.id);
    assert.ok(issuers.includes(`${vaultUrl}/certificates/issuers/${issuer}`));
  });

  await operation("create at an issuer that holds", async () => {
    first = await client.beginCreateCertificate(held, elliptic(issuer, "CN=held.example.com"));
    const holding = await pending(held);
    assert.equal(holding.status, "inProgress");
    await refused(403, "Forbidden", client.mergeCertificate(held, await sign(holding.csr)));
  });

  await operation("the issuer issues", async () => {
    await client.updateIssuer(issuer, { organizationId: "issue" });
    old = await first.pollUntilDone();
    assert.equal(old.policy.issuerName, issuer);
  });

  await operation("the old version is served while a new one is pending", async () => {
    await client.updateIssuer(issuer, { organizationId: "hold" });
    second = await client.beginCreateCertificate(held, elliptic(issuer, "CN=held.example.com"));
    assert.equal((await client.getCertificate(held)).properties.version, old.properties.version);
  });

  await operation("cancel at the issuer", async () => {
    await second.cancelOperation();
    assert.equal((await pending(held)).cancellationRequested, true);
    await becomes(held, "cancelled");
    assert.equal((await client.getCertificate(held)).properties.version, old.properties.version);
    await refused(403, "Forbidden", (await client.getCertificateOperation(held)).cancelOperation());
  });

  await operation("the issuer rejects", async () => {
    await client.updateIssuer(issuer, { organizationId: "reject=The domain is not yours" });
    const third = await client.beginCreateCertificate(held, elliptic(issuer, "CN=held.example.com"));
    doomed = await pending(held);
    // This client tells of the error's message only.
    await assert.rejects(third.pollUntilDone(), { message: "The domain is not yours" });
    await assert.rejects(client.getCertificateOperation(held), { message: "The domain is not yours" });
  });

  await operation("merge what was obtained elsewhere", async () => {
    // As in the client's own samples: the text of the certificate, in base64 already.
    const text = base64((await sign(doomed.csr))[0]);
    const late = await client.mergeCertificate(held, [Buffer.from(text)]);
    assert.deepEqual(await versionsOf(held), [old.properties.version, late.properties.version].sort());
  });

  await operation("cancel right after create", async () => {
    const unwanted = await client.beginCreateCertificate(cancelled, elliptic("Self", "CN=cancelled.example.com"));
    await unwanted.cancelOperation();
    const cancelling = await pending(cancelled);
    assert.deepEqual([cancelling.status, cancelling.cancellationRequested], ["inProgress", true]);
    await becomes(cancelled, "cancelled");
  });

  await operation("delete a certificate", async () => {
    deleted = await (await client.beginDeleteCertificate(manual)).pollUntilDone();
    assert.equal(deleted.recoveryId, `${vaultUrl}/deletedcertificates/${manual}`);
    await refused(404, "CertificateNotFound", client.getCertificate(manual));
    assert.equal(base64((await client.getDeletedCertificate(manual)).cer), base64(deleted.cer));
    assert.ok((await namesIn(client.listDeletedCertificates())).includes(manual));
  });

  await operation("create on a deleted name", async () => {
    await refused(409, "Conflict", client.beginCreateCertificate(manual, elliptic("Self", "CN=manual.example.com")));
  });

  await operation("recover", async () => {
    const recovered = await (await client.beginRecoverDeletedCertificate(manual)).pollUntilDone();
    assert.equal(recovered.properties.version, deleted.properties.version);
    assert.equal(base64((await client.getCertificate(manual)).cer), base64(deleted.cer));
  });

  await operation("purge", async () => {
    for (const name of [own, manual, held, cancelled]) {
      await (await client.beginDeleteCertificate(name)).pollUntilDone();
      await client.purgeDeletedCertificate(name);
      await refused(404, "CertificateNotFound", client.getDeletedCertificate(name));
    }
  });

  await operation("delete the issuer", async () => {
    assert.equal((await client.deleteIssuer(issuer)).provider, "Test");
    await refused(404, "CertificateIssuerNotFound", client.getIssuer(issuer));
  });
}
