// The lifecycle of certificates with the official JavaScript client.
//
//   node lifecycle.js PREFIX
//
// Names begin with PREFIX. CERTWRIGHT_E2E_CA is the URL of a CA: it takes a CSR in
// DER and answers a chain in PEM. A line for each step; the first mismatch ends the
// program with an error.
//
// Nothing else in here knows of Certwright.

import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { DefaultAzureCredential } from "@azure/identity";
import { CertificateClient } from "@azure/keyvault-certificates";

const vaultUrl = "https://myvault.vault.azure.net";
const limit = 120; // seconds, for anything that is waited for
const client = new CertificateClient(vaultUrl, new DefaultAzureCredential());

const prefix = process.argv[2];
const own = `${prefix}-self`;
const manual = `${prefix}-manual`;
const held = `${prefix}-held`;
const issuer = `${prefix}-issuer`;
const cancelled = `${prefix}-cancelled`;

const step = (what) => console.log(what);

/** The call must be refused with this status and code. */
async function refused(status, code, doing) {
  const error = await doing.then(
    (got) => assert.fail(`got ${JSON.stringify(got)}, want it refused with ${status} ${code}`),
    (error) => error,
  );
  assert.deepEqual([error.statusCode, error.code], [status, code], error.stack);
}

async function names(pages) {
  const all = [];
  for await (const item of pages) all.push(item.name);
  return all;
}

async function versions(name) {
  const all = [];
  for await (const item of client.listPropertiesOfCertificateVersions(name)) all.push(item.version);
  return all.sort();
}

/** The pending object of a certificate. */
async function operation(name) {
  const poller = await client.getCertificateOperation(name);
  return poller.getOperationState().certificateOperation;
}

async function operationBecomes(name, status) {
  for (let i = 0; i < limit * 2; i++) {
    const now = await operation(name);
    if (now.status === status) return now;
    await delay(500);
  }
  assert.fail(`the operation of ${name} did not become ${status}`);
}

/** Brings a CSR to the CA and returns its certificates. */
async function sign(csr) {
  const answer = await fetch(process.env.CERTWRIGHT_E2E_CA, { method: "POST", body: csr });
  assert.equal(answer.status, 200);
  const blocks = (await answer.text()).match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g);
  return blocks.map((pem) => new X509Certificate(pem).raw);
}

const elliptic = (issuerName, subject) => ({ issuerName, subject, keyType: "EC", keyCurveName: "P-256" });
const base64 = (bytes) => Buffer.from(bytes).toString("base64");

step("create with issuer Self");
const policy = {
  issuerName: "Self",
  subject: "CN=self.example.com",
  subjectAlternativeNames: { dnsNames: ["self.example.com", "www.self.example.com"] },
  validityInMonths: 6,
};
const creation = await client.beginCreateCertificate(own, policy);
assert.equal((await operation(own)).status, "inProgress");
const certificate = await creation.pollUntilDone();
assert.equal(certificate.name, own);
assert.equal(certificate.properties.enabled, true);
assert.equal(
  Buffer.from(certificate.properties.x509Thumbprint).toString("hex"),
  createHash("sha1").update(certificate.cer).digest("hex"),
);
const leaf = new X509Certificate(certificate.cer);
assert.equal(leaf.subject, "CN=self.example.com");
assert.equal(leaf.subjectAltName, "DNS:self.example.com, DNS:www.self.example.com");
const done = await operation(own);
assert.equal(done.status, "completed");
assert.equal(done.target, `${vaultUrl}/certificates/${own}`);

step("read certificate, version and policy");
const latest = await client.getCertificate(own);
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

step("list certificates and versions");
assert.ok((await names(client.listPropertiesOfCertificates())).includes(own));
assert.deepEqual(await versions(own), [latest.properties.version]);

step("delete the operation");
assert.equal((await client.deleteCertificateOperation(own)).status, "completed");
await refused(404, "PendingCertificateNotFound", client.getCertificateOperation(own));
await refused(404, "PendingCertificateNotFound", client.deleteCertificateOperation(own));

step("create with issuer Unknown");
await client.beginCreateCertificate(manual, elliptic("Unknown", "CN=manual.example.com"));
const waiting = await operation(manual);
assert.equal(waiting.status, "inProgress");
const shell = await client.getCertificate(manual);
assert.deepEqual([shell.properties.enabled, shell.cer], [false, undefined]);
assert.ok(!(await names(client.listPropertiesOfCertificates())).includes(manual));
assert.ok((await names(client.listPropertiesOfCertificates({ includePending: true }))).includes(manual));
await refused(409, "Forbidden", client.beginCreateCertificate(manual, elliptic("Unknown", "CN=manual.example.com")));

step("merge");
const chain = await sign(waiting.csr);
const merged = await client.mergeCertificate(manual, chain);
assert.equal(base64(merged.cer), base64(chain[0]));
assert.equal(merged.properties.enabled, true);
assert.equal((await operation(manual)).status, "completed");

step("set, update, get and list an issuer");
await client.createIssuer(issuer, "Test", { accountId: "account", password: "secret", organizationId: "issue" });
await client.updateIssuer(issuer, { organizationId: "hold" });
const found = await client.getIssuer(issuer);
assert.deepEqual([found.provider, found.organizationId], ["Test", "hold"]);
assert.deepEqual([found.accountId, found.password], ["account", undefined]);
const issuers = [];
for await (const item of client.listPropertiesOfIssuers()) issuers.push(item.id);
assert.ok(issuers.includes(`${vaultUrl}/certificates/issuers/${issuer}`));

step("create at an issuer that holds");
const first = await client.beginCreateCertificate(held, elliptic(issuer, "CN=held.example.com"));
const holding = await operation(held);
assert.equal(holding.status, "inProgress");
await refused(403, "Forbidden", client.mergeCertificate(held, await sign(holding.csr)));

step("the issuer issues");
await client.updateIssuer(issuer, { organizationId: "issue" });
const old = await first.pollUntilDone();
assert.equal(old.policy.issuerName, issuer);

step("the old version is served while a new one is pending");
await client.updateIssuer(issuer, { organizationId: "hold" });
const second = await client.beginCreateCertificate(held, elliptic(issuer, "CN=held.example.com"));
assert.equal((await client.getCertificate(held)).properties.version, old.properties.version);

step("cancel at the issuer");
await second.cancelOperation();
assert.equal((await operation(held)).cancellationRequested, true);
await operationBecomes(held, "cancelled");
assert.equal((await client.getCertificate(held)).properties.version, old.properties.version);
await refused(403, "Forbidden", (await client.getCertificateOperation(held)).cancelOperation());

step("the issuer rejects");
await client.updateIssuer(issuer, { organizationId: "reject=The domain is not yours" });
const third = await client.beginCreateCertificate(held, elliptic(issuer, "CN=held.example.com"));
const doomed = await operation(held);
// This client tells of the error's message only.
await assert.rejects(third.pollUntilDone(), { message: "The domain is not yours" });
await assert.rejects(client.getCertificateOperation(held), { message: "The domain is not yours" });

step("merge what was obtained elsewhere");
// As in the client's own samples: the text of the certificate, in base64 already.
const text = base64((await sign(doomed.csr))[0]);
const late = await client.mergeCertificate(held, [Buffer.from(text)]);
assert.deepEqual(await versions(held), [old.properties.version, late.properties.version].sort());

step("cancel right after create");
const unwanted = await client.beginCreateCertificate(cancelled, elliptic("Self", "CN=cancelled.example.com"));
await unwanted.cancelOperation();
const cancelling = await operation(cancelled);
assert.deepEqual([cancelling.status, cancelling.cancellationRequested], ["inProgress", true]);
await operationBecomes(cancelled, "cancelled");

step("delete a certificate");
const deleted = await (await client.beginDeleteCertificate(manual)).pollUntilDone();
assert.equal(deleted.recoveryId, `${vaultUrl}/deletedcertificates/${manual}`);
await refused(404, "CertificateNotFound", client.getCertificate(manual));
assert.equal(base64((await client.getDeletedCertificate(manual)).cer), base64(deleted.cer));
assert.ok((await names(client.listDeletedCertificates())).includes(manual));

step("create on a deleted name");
await refused(409, "Conflict", client.beginCreateCertificate(manual, elliptic("Self", "CN=manual.example.com")));

step("recover");
const recovered = await (await client.beginRecoverDeletedCertificate(manual)).pollUntilDone();
assert.equal(recovered.properties.version, deleted.properties.version);
assert.equal(base64((await client.getCertificate(manual)).cer), base64(deleted.cer));

step("purge");
for (const name of [own, manual, held, cancelled]) {
  await (await client.beginDeleteCertificate(name)).pollUntilDone();
  await client.purgeDeletedCertificate(name);
  await refused(404, "CertificateNotFound", client.getDeletedCertificate(name));
}

step("delete the issuer");
assert.equal((await client.deleteIssuer(issuer)).provider, "Test");
await refused(404, "CertificateIssuerNotFound", client.getIssuer(issuer));
