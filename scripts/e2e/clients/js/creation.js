// What may be asked for when a certificate is created.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { DefaultCertificatePolicy } from "@azure/keyvault-certificates";
import { operation, refused } from "./report.js";
import { all, client } from "./vault.js";

const create = async (name, policy, options) =>
  (await client.beginCreateCertificate(name, policy, options)).pollUntilDone();
const elliptic = { issuerName: "Self", keyType: "EC", keyCurveName: "P-256" };

export async function creation(prefix) {
  await operation("create with the client's default policy", async () => {
    const { cer, policy } = await create(`${prefix}-default`, DefaultCertificatePolicy);
    assert.equal(new X509Certificate(cer).subject.toLowerCase(), DefaultCertificatePolicy.subject.toLowerCase());
    assert.deepEqual([policy.keyType, policy.keySize, policy.exportable], ["RSA", 2048, true]);
    assert.equal(policy.contentType, "application/x-pkcs12");
  });

  await operation("create disabled, with tags", async () => {
    const name = `${prefix}-disabled`;
    const tags = { colour: "blue" };
    const { properties } = await create(name, { ...elliptic, subject: "CN=disabled.example.com" }, { enabled: false, tags });
    assert.deepEqual([properties.enabled, properties.tags], [false, tags]);
    const listed = (await all(client.listPropertiesOfCertificates())).find((item) => item.name === name);
    assert.deepEqual([listed.enabled, listed.tags], [false, tags]);
  });

  await operation("create with every kind of alternative name", async () => {
    const subjectAlternativeNames = {
      dnsNames: ["a.example.com"],
      emails: ["a@example.com"],
      userPrincipalNames: ["b@example.com"],
      uniformResourceIdentifiers: ["https://example.com/c"],
      ipAddresses: ["192.0.2.1", "2001:0db8::1"],
    };
    const { cer, policy } = await create(`${prefix}-names`, { ...elliptic, subjectAlternativeNames });
    assert.deepEqual(policy.subjectAlternativeNames, subjectAlternativeNames);
    const names = new X509Certificate(cer).subjectAltName;
    for (const name of [
      "DNS:a.example.com",
      "email:a@example.com",
      "URI:https://example.com/c",
      "IP Address:192.0.2.1",
      "IP Address:2001:DB8:0:0:0:0:0:1",
      "othername:",
    ]) {
      assert.ok(names.includes(name), `${names} has ${name}`);
    }
  });

  await operation("create with keys of every kind", async () => {
    const kinds = {
      rsa: { keyType: "RSA", keySize: 3072 },
      p256: { keyType: "EC", keyCurveName: "P-256" },
      p384: { keyType: "EC", keyCurveName: "P-384" },
      p521: { keyType: "EC", keyCurveName: "P-521" },
    };
    const details = await Promise.all(
      Object.entries(kinds).map(async ([kind, key]) => {
        const { cer } = await create(`${prefix}-key-${kind}`, { issuerName: "Self", subject: `CN=${kind}`, ...key });
        const { modulusLength, namedCurve } = new X509Certificate(cer).publicKey.asymmetricKeyDetails;
        return modulusLength ?? namedCurve;
      }),
    );
    assert.deepEqual(details, [3072, "prime256v1", "secp384r1", "secp521r1"]);
  });

  await operation("create with usages, validity and lifetime actions", async () => {
    const wanted = {
      ...elliptic,
      subject: "CN=usages.example.com",
      keyUsage: ["digitalSignature"],
      enhancedKeyUsage: ["1.3.6.1.5.5.7.3.3"],
      validityInMonths: 3,
      lifetimeActions: [{ action: "EmailContacts", daysBeforeExpiry: 20, lifetimePercentage: undefined }],
    };
    const { cer, policy } = await create(`${prefix}-usages`, wanted);
    const leaf = new X509Certificate(cer);
    assert.deepEqual(leaf.keyUsage, wanted.enhancedKeyUsage);
    const days = (Date.parse(leaf.validTo) - Date.parse(leaf.validFrom)) / 86_400_000;
    assert.ok(days > 88 && days < 94, `${days} days`);
    assert.deepEqual([policy.keyUsage, policy.lifetimeActions], [wanted.keyUsage, wanted.lifetimeActions]);
  });

  await operation("a bad name or policy is refused", async () => {
    const named = client.beginCreateCertificate("a_b", { ...elliptic, subject: "CN=x" });
    await refused(400, "BadParameter", named, "invalid name");
    const bad = client.beginCreateCertificate(`${prefix}-bad`, { ...elliptic, subject: "no name" });
    await refused(400, "BadParameter", bad, "X.500");
  });
}
