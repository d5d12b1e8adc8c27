import com.azure.security.keyvault.certificates.models.CertificateKeyType;
import com.azure.security.keyvault.certificates.models.CertificatePolicy;
import com.azure.security.keyvault.certificates.models.KeyVaultCertificateWithPolicy;
import com.azure.security.keyvault.keys.cryptography.models.SignatureAlgorithm;
import java.io.ByteArrayInputStream;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.Signature;
import java.security.cert.Certificate;
import java.security.interfaces.RSAPrivateCrtKey;
import java.security.interfaces.RSAPublicKey;
import java.util.Base64;
import java.util.Collections;
import java.util.List;

/** The secret and the key behind a certificate. */
final class ReadSide {
    private final Vault vault;
    private final String rsa;
    private final String elliptic;
    private final String unread;
    private final String fixed;
    private KeyVaultCertificateWithPolicy imported;
    private KeyVaultCertificateWithPolicy created;

    ReadSide(Vault vault, String prefix) {
        this.vault = vault;
        rsa = prefix + "-rsa";
        elliptic = prefix + "-ec";
        unread = prefix + "-unread";
        fixed = prefix + "-fixed";
    }

    private static KeyStore open(String pfx) throws Exception {
        var store = KeyStore.getInstance("PKCS12");
        store.load(new ByteArrayInputStream(Base64.getDecoder().decode(pfx)), new char[0]);
        return store;
    }

    void run() {
        Report.operation("get the secret: PKCS #12", () -> {
            imported = vault.certificates.importCertificate(Vault.loading(rsa, "password.pfx").setPassword("a password"));
            var secret = vault.secrets.getSecret(rsa);
            var properties = secret.getProperties();
            Report.expect("id", secret.getId(), imported.getSecretId());
            Report.expect("key", properties.getKeyId(), imported.getKeyId());
            Report.expect("kind", List.of(properties.isManaged(), properties.getContentType()), List.of(true, "application/x-pkcs12"));
            var store = open(secret.getValue());
            var alias = Collections.list(store.aliases()).stream().filter(a -> isKey(store, a)).findFirst().orElseThrow();
            var chain = store.getCertificateChain(alias);
            var files = List.of("rsa.der", "issuing.der", "root.der");
            Report.expect("length of the chain", chain.length, files.size());
            for (int i = 0; i < chain.length; i++) {
                Report.expect(files.get(i), chain[i].getEncoded(), Vault.material(files.get(i)));
            }
            var key = (RSAPrivateCrtKey) store.getKey(alias, new char[0]);
            Report.expect("key", key.getModulus(), ((RSAPublicKey) chain[0].getPublicKey()).getModulus());
        });
        Report.operation("get the secret: PEM", () -> {
            vault.load(elliptic, "chain.pem");
            var text = vault.secrets.getSecret(elliptic).getValue();
            Report.expect("key", text.startsWith("-----BEGIN PRIVATE KEY-----"), true);
            var rest = text.substring(text.indexOf("-----BEGIN CERTIFICATE-----"));
            var certificates = Vault.certificatesIn(rest.getBytes(StandardCharsets.US_ASCII));
            var files = List.of("ec.der", "issuing.der", "root.der");
            for (int i = 0; i < files.size(); i++) {
                Report.expect(files.get(i), certificates.get(i), Vault.material(files.get(i)));
            }
        });
        Report.operation("get the secret of a key that is not exportable", () -> {
            created = vault.create(fixed, new CertificatePolicy("Self", "CN=x").setKeyType(CertificateKeyType.RSA)
                    .setKeySize(2048).setExportable(false));
            var store = open(vault.secrets.getSecret(fixed).getValue());
            Report.expect("keys", Collections.list(store.aliases()).stream().anyMatch(a -> isKey(store, a)), false);
        });
        Report.operation("get the secret of a disabled certificate", () -> {
            var properties = vault.load(unread, "rsa.pfx").getProperties();
            vault.certificates.updateCertificateProperties(properties.setEnabled(false));
            Report.refused(403, () -> vault.secrets.getSecret(unread), "disabled");
        });
        Report.operation("list secrets", () -> {
            var listed = vault.secrets.listPropertiesOfSecrets().stream().filter(s -> s.getName().equals(rsa)).findFirst();
            Report.expect("managed", listed.orElseThrow().isManaged(), true);
            Report.expect("versions", vault.secrets.listPropertiesOfSecretVersions(rsa).stream().count(), 1L);
        });
        Report.operation("get the key", () -> {
            var key = vault.keys.getKey(rsa);
            Report.expect("id", key.getId(), imported.getKeyId());
            Report.expect("managed", key.getProperties().isManaged(), true);
            var wanted = (RSAPublicKey) Vault.leaf(imported.getCer()).getPublicKey();
            Report.expect("modulus", new BigInteger(1, key.getKey().getN()), wanted.getModulus());
        });
        Report.operation("list keys", () -> {
            var listed = vault.keys.listPropertiesOfKeys().stream().filter(k -> k.getName().equals(rsa)).findFirst();
            Report.expect("managed", listed.orElseThrow().isManaged(), true);
            Report.expect("versions", vault.keys.listPropertiesOfKeyVersions(rsa).stream().count(), 1L);
        });
        Report.operation("sign and verify with RSA",
                () -> sign(created.getKeyId(), SignatureAlgorithm.RS256, "SHA256withRSA", Vault.leaf(created.getCer())));
        Report.operation("sign and verify with EC", () -> sign(vault.keys.getKey(elliptic).getId(),
                SignatureAlgorithm.ES256, "SHA256withECDSAinP1363Format", Vault.leaf(Vault.material("ec.der"))));
    }

    private static boolean isKey(KeyStore store, String alias) {
        try {
            return store.isKeyEntry(alias);
        } catch (java.security.KeyStoreException e) {
            throw new IllegalStateException(e);
        }
    }

    private void sign(String key, SignatureAlgorithm algorithm, String javas, Certificate leaf) throws Exception {
        var text = "text".getBytes(StandardCharsets.UTF_8);
        var digest = MessageDigest.getInstance("SHA-256").digest(text);
        var cryptography = vault.cryptography(key);
        var signed = cryptography.sign(algorithm, digest).getSignature();
        var verifier = Signature.getInstance(javas);
        verifier.initVerify(leaf);
        verifier.update(text);
        Report.expect("valid", verifier.verify(signed), true);
        Report.expect("verified", cryptography.verify(algorithm, digest, signed).isValid(), true);
    }
}
