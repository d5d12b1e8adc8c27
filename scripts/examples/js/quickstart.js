// Create, read and delete a certificate with the official Key Vault client.
//
// Nothing in here knows of Certwright: the vault is chosen by KEY_VAULT_NAME, and
// the local cloud's settings (.local/env) lead its name to this machine.

import { randomUUID } from "node:crypto";
import { DefaultAzureCredential } from "@azure/identity";
import { CertificateClient } from "@azure/keyvault-certificates";

const vaultUrl = `https://${process.env.KEY_VAULT_NAME ?? "myvault"}.vault.azure.net`;
const name = process.argv[2] ?? `quickstart-${randomUUID().slice(0, 8)}`;
const client = new CertificateClient(vaultUrl, new DefaultAzureCredential());

console.log(`creating ${name} in ${vaultUrl}`);
const creation = await client.beginCreateCertificate(name, {
  issuerName: "Self",
  subject: "CN=DefaultPolicy",
});
await creation.pollUntilDone();

const certificate = await client.getCertificate(name);
const thumbprint = Buffer.from(certificate.properties.x509Thumbprint).toString("hex");
console.log(`got ${certificate.properties.id}, SHA-1 thumbprint ${thumbprint}`);

const deletion = await client.beginDeleteCertificate(name);
const deleted = await deletion.pollUntilDone();
console.log(`deleted, recoverable until ${deleted.scheduledPurgeDate.toISOString().slice(0, 10)}`);
