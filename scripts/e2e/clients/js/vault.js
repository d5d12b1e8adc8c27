// The clients of a vault, with what the operations do more than once.

import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { DefaultAzureCredential } from "@azure/identity";
import { CertificateClient } from "@azure/keyvault-certificates";
import { CryptographyClient, KeyClient } from "@azure/keyvault-keys";
import { SecretClient } from "@azure/keyvault-secrets";
import { material } from "./ca.js";

export const vaultUrl = "https://myvault.vault.azure.net";
const limit = 120; // seconds, for anything that is waited for
const credential = new DefaultAzureCredential();

export const client = new CertificateClient(vaultUrl, credential);
export const secrets = new SecretClient(vaultUrl, credential);
export const keys = new KeyClient(vaultUrl, credential);
export const cryptography = (key) => new CryptographyClient(key, credential);

export const base64 = (bytes) => Buffer.from(bytes).toString("base64");

export const load = (name, file, options) => client.importCertificate(name, material(file), options);

/** All items of a list. */
export async function all(pages) {
  const items = [];
  for await (const item of pages) items.push(item);
  return items;
}

export const namesIn = async (pages) => (await all(pages)).map((item) => item.name);

export async function versionsOf(name) {
  return (await all(client.listPropertiesOfCertificateVersions(name))).map((item) => item.version).sort();
}

/** The pending object of a certificate. */
export async function pending(name) {
  const poller = await client.getCertificateOperation(name);
  return poller.getOperationState().certificateOperation;
}

export async function becomes(name, status) {
  for (let i = 0; i < limit * 2; i++) {
    const now = await pending(name);
    if (now.status === status) return now;
    await delay(500);
  }
  assert.fail(`the operation of ${name} did not become ${status}`);
}

/** Deletes a certificate and waits until that is done. */
export async function remove(name) {
  return (await client.beginDeleteCertificate(name)).pollUntilDone();
}
