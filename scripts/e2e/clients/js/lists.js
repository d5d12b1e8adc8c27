// Lists, page by page, and what is not in the vault.

import assert from "node:assert/strict";
import { operation, refused } from "./report.js";
import { client, load, remove } from "./vault.js";

// More than a page has: this client leaves the size of pages to the service.
const listed = 27;

/** The items of each page of a list. */
async function pagesOf(list) {
  const pages = [];
  for await (const page of list.byPage()) pages.push(page);
  return pages;
}

export async function lists(prefix) {
  const wanted = Array.from({ length: listed }, (_, i) => `${prefix}-listed-${String(i).padStart(2, "0")}`);
  const own = (pages) => pages.flat().map((item) => item.name).filter((name) => wanted.includes(name));

  await operation("page through certificates", async () => {
    for (const name of wanted) await load(name, "ec.pem");
    const pages = await pagesOf(client.listPropertiesOfCertificates());
    assert.deepEqual(own(pages), wanted);
    assert.ok(pages.length > 1);
  });

  await operation("page through versions", async () => {
    for (let i = 1; i < listed; i++) await load(wanted[0], "ec.pem");
    const pages = await pagesOf(client.listPropertiesOfCertificateVersions(wanted[0]));
    assert.equal(new Set(pages.flat().map((item) => item.version)).size, listed);
    assert.ok(pages.length > 1);
  });

  await operation("page through deleted certificates", async () => {
    await Promise.all(wanted.map(remove));
    const pages = await pagesOf(client.listDeletedCertificates({ includePending: true }));
    assert.deepEqual(own(pages), wanted);
    assert.ok(pages.length > 1);
  });

  await operation("what is not there is not found", async () => {
    const nothing = `${prefix}-nothing`;
    for (const [code, calls] of Object.entries({
      CertificateNotFound: [
        () => client.getCertificate(nothing),
        () => client.getCertificateVersion(nothing, "0".repeat(32)),
        () => client.getCertificatePolicy(nothing),
        () => client.updateCertificateProperties(nothing, ""),
        () => client.backupCertificate(nothing),
        () => client.beginDeleteCertificate(nothing),
        () => client.getDeletedCertificate(nothing),
        () => client.beginRecoverDeletedCertificate(nothing),
        () => client.purgeDeletedCertificate(nothing),
        // This client asks for the certificate first.
        () => client.getCertificateOperation(nothing),
      ],
      PendingCertificateNotFound: [() => client.deleteCertificateOperation(nothing)],
      CertificateIssuerNotFound: [
        () => client.getIssuer(nothing),
        () => client.updateIssuer(nothing),
        () => client.deleteIssuer(nothing),
      ],
    })) {
      for (const call of calls) await refused(404, code, call(), "not found");
    }
  });
}
