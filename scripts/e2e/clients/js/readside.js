// The secret and the key behind a certificate.

import assert from "node:assert/strict";
import { createHash, createPrivateKey, verify, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { connect, createSecureContext, createServer } from "node:tls";
import { certificatesIn, material } from "./ca.js";
import { operation, refused } from "./report.js";
import { all, base64, client, cryptography, keys, load, secrets, vaultUrl } from "./vault.js";

/** The certificates, in DER, that a TLS server shows which has this PKCS #12 file. */
async function served(pfx) {
  const server = createServer({ pfx, passphrase: "" }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = connect({ port: server.address().port, host: "127.0.0.1", rejectUnauthorized: false });
  try {
    await once(socket, "secureConnect");
    const chain = [];
    for (let cert = socket.getPeerCertificate(true); cert && !chain.includes(cert); cert = cert.issuerCertificate) {
      chain.push(cert);
    }
    return chain.map((cert) => cert.raw.toString("base64"));
  } finally {
    socket.destroy();
    server.close();
  }
}

export async function readside(prefix) {
  const rsa = `${prefix}-rsa`;
  const ec = `${prefix}-ec`;
  const off = `${prefix}-unread`;
  const fixed = `${prefix}-fixed`;
  const chain = ["issuing.der", "root.der"].map((name) => base64(material(name)));
  let version, created;

  await operation("get the secret: PKCS #12", async () => {
    version = (await load(rsa, "password.pfx", { password: "a password" })).properties.version;
    const secret = await secrets.getSecret(rsa);
    const { id, certificateKeyId, managed, contentType } = secret.properties;
    assert.deepEqual([id, certificateKeyId], [`${vaultUrl}/secrets/${rsa}/${version}`, `${vaultUrl}/keys/${rsa}/${version}`]);
    assert.deepEqual([managed, contentType], [true, "application/x-pkcs12"]);
    // Node finds no root in a file that begins with it, as Key Vault's do: a server does not send it anyway.
    assert.deepEqual(await served(Buffer.from(secret.value, "base64")), [base64(material("rsa.der")), chain[0]]);
    assert.equal((await secrets.getSecret(rsa, { version })).properties.id, id);
  });

  await operation("get the secret: PEM", async () => {
    await load(ec, "chain.pem");
    const secret = await secrets.getSecret(ec);
    assert.equal(secret.properties.contentType, "application/x-pem-file");
    assert.deepEqual(certificatesIn(secret.value).map(base64), [base64(material("ec.der")), ...chain]);
    assert.ok(new X509Certificate(material("ec.der")).checkPrivateKey(createPrivateKey(secret.value)));
  });

  await operation("get the secret of a key that is not exportable", async () => {
    const policy = { issuerName: "Self", subject: "CN=fixed.example.com", keyType: "RSA", exportable: false };
    created = await (await client.beginCreateCertificate(fixed, policy)).pollUntilDone();
    const secret = await secrets.getSecret(fixed);
    assert.equal(secret.properties.contentType, "application/x-pkcs12");
    assert.throws(() => createSecureContext({ pfx: Buffer.from(secret.value, "base64"), passphrase: "" }), /private key/i);
  });

  await operation("get the secret of a disabled certificate", async () => {
    const { properties } = await load(off, "rsa.pfx");
    await client.updateCertificateProperties(off, properties.version, { enabled: false });
    await refused(403, "Forbidden", secrets.getSecret(off), "disabled");
  });

  await operation("list secrets", async () => {
    const listed = (await all(secrets.listPropertiesOfSecrets())).find((item) => item.name === rsa);
    assert.deepEqual([listed.managed, listed.contentType], [true, "application/x-pkcs12"]);
    const versions = await all(secrets.listPropertiesOfSecretVersions(rsa));
    assert.deepEqual(versions.map((item) => item.version), [version]);
  });

  await operation("get the key", async () => {
    const key = await keys.getKey(rsa);
    assert.deepEqual([key.id, key.properties.managed], [`${vaultUrl}/keys/${rsa}/${version}`, true]);
    const wanted = new X509Certificate(material("rsa.der")).publicKey.export({ format: "jwk" });
    assert.equal(Buffer.from(key.key.n).toString("base64url"), wanted.n);
    assert.equal(Buffer.from(key.key.e).toString("base64url"), wanted.e);
    assert.ok(key.keyOperations.includes("sign") && key.keyOperations.includes("verify"));
    const curve = (await keys.getKey(ec)).key;
    const point = new X509Certificate(material("ec.der")).publicKey.export({ format: "jwk" });
    const found = [curve.crv, Buffer.from(curve.x).toString("base64url"), Buffer.from(curve.y).toString("base64url")];
    assert.deepEqual(found, [point.crv, point.x, point.y]);
  });

  await operation("list keys", async () => {
    const listed = (await all(keys.listPropertiesOfKeys())).find((item) => item.name === rsa);
    assert.equal(listed.managed, true);
    const versions = await all(keys.listPropertiesOfKeyVersions(rsa));
    assert.deepEqual(versions.map((item) => item.version), [version]);
  });

  const text = Buffer.from("text");
  const digest = createHash("sha256").update(text).digest();

  await operation("sign and verify with RSA", async () => {
    const signer = cryptography(await keys.getKey(fixed));
    const { result } = await signer.sign("RS256", digest);
    assert.ok(verify("sha256", text, new X509Certificate(created.cer).publicKey, result));
    assert.equal((await signer.verify("RS256", digest, result)).result, true);
  });

  await operation("sign and verify with EC", async () => {
    const signer = cryptography(await keys.getKey(ec));
    const { result } = await signer.sign("ES256", digest);
    const key = new X509Certificate(material("ec.der")).publicKey;
    assert.ok(verify("sha256", text, { key, dsaEncoding: "ieee-p1363" }, result));
    assert.equal((await signer.verify("ES256", digest, result)).result, true);
  });
}
