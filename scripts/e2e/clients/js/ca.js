// What comes from a CA outside of the vault.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Brings a CSR to the CA and returns its certificates. */
export async function sign(csr) {
  const answer = await fetch(process.env.CERTWRIGHT_E2E_CA, { method: "POST", body: csr });
  assert.equal(answer.status, 200);
  return certificatesIn(await answer.text());
}

/** The certificates, in DER, in a text in PEM. */
export function certificatesIn(text) {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g);
  return blocks.map((pem) => new X509Certificate(pem).raw);
}

/** A file with a certificate or a key that was made elsewhere. */
export const material = (name) => readFileSync(join(process.env.CERTWRIGHT_E2E_MATERIAL, name));
