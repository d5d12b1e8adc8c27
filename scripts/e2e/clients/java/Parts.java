import com.azure.security.keyvault.certificates.models.AdministratorContact;
import com.azure.security.keyvault.certificates.models.CertificateContact;
import com.azure.security.keyvault.certificates.models.CertificateContentType;
import com.azure.security.keyvault.certificates.models.CertificateIssuer;
import com.azure.security.keyvault.certificates.models.CertificateKeyCurveName;
import com.azure.security.keyvault.certificates.models.CertificateKeyType;
import com.azure.security.keyvault.certificates.models.CertificateKeyUsage;
import com.azure.security.keyvault.certificates.models.CertificatePolicy;
import com.azure.security.keyvault.certificates.models.CertificatePolicyAction;
import com.azure.security.keyvault.certificates.models.CertificateProperties;
import com.azure.security.keyvault.certificates.models.CreateCertificateOptions;
import com.azure.security.keyvault.certificates.models.KeyVaultCertificateWithPolicy;
import com.azure.security.keyvault.certificates.models.LifetimeAction;
import com.azure.security.keyvault.certificates.models.SubjectAlternativeNames;
import java.nio.charset.StandardCharsets;
import java.security.interfaces.ECPublicKey;
import java.security.interfaces.RSAPublicKey;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** What may be asked for, imported, changed, listed and kept. */
final class Parts {
    private final Vault vault;
    private final String prefix;

    Parts(Vault vault, String prefix) {
        this.vault = vault;
        this.prefix = prefix;
    }

    void creation() {
        Report.operation("create with the client's default policy", () -> {
            var created = vault.create(prefix + "-default", CertificatePolicy.getDefault());
            Report.expect("key", created.getPolicy().getKeySize(), 2048);
            Report.expect("subject", Vault.leaf(created.getCer()).getSubjectX500Principal().getName(), "CN=DefaultPolicy");
        });
        Report.operation("create disabled, with tags", () -> {
            var options = new CreateCertificateOptions(prefix + "-disabled", Vault.elliptic("Self", "CN=x"))
                    .setEnabled(false).setTags(Map.of("colour", "blue")).setCertificateOrderPreserved(true);
            var poller = vault.certificates.beginCreateCertificate(options);
            poller.waitForCompletion(Vault.LIMIT);
            var properties = poller.getFinalResult().getProperties();
            Report.expect("enabled", properties.isEnabled(), false);
            Report.expect("tags", properties.getTags(), Map.of("colour", "blue"));
            Report.expect("order", properties.isCertificateOrderPreserved(), true);
        });
        Report.operation("create with every kind of alternative name", () -> {
            // This version of the client has no URIs and IP addresses.
            var names = new SubjectAlternativeNames().setDnsNames(List.of("a.example.com"))
                    .setEmails(List.of("a@example.com")).setUserPrincipalNames(List.of("b@example.com"));
            var created = vault.create(prefix + "-names",
                    Vault.elliptic("Self", "CN=x").setSubjectAlternativeNames(names));
            Report.expect("names", Vault.leaf(created.getCer()).getSubjectAlternativeNames().size(), 3);
            var stored = created.getPolicy().getSubjectAlternativeNames();
            Report.expect("UPNs", stored.getUserPrincipalNames(), names.getUserPrincipalNames());
        });
        Report.operation("create with keys of every kind", () -> {
            var curves = Map.of(CertificateKeyCurveName.P_256, 256, CertificateKeyCurveName.P_384, 384,
                    CertificateKeyCurveName.P_521, 521);
            for (var curve : curves.entrySet()) {
                var policy = Vault.elliptic("Self", "CN=x").setKeyCurveName(curve.getKey());
                var created = vault.create(prefix + "-key-" + curve.getValue(), policy);
                var key = (ECPublicKey) Vault.leaf(created.getCer()).getPublicKey();
                Report.expect("bits", key.getParams().getOrder().bitLength(), curve.getValue());
            }
            var policy = new CertificatePolicy("Self", "CN=x").setKeyType(CertificateKeyType.RSA).setKeySize(3072);
            var key = (RSAPublicKey) Vault.leaf(vault.create(prefix + "-key-rsa", policy).getCer()).getPublicKey();
            Report.expect("bits", key.getModulus().bitLength(), 3072);
        });
        Report.operation("create with usages, validity and lifetime actions", () -> {
            var policy = Vault.elliptic("Self", "CN=x").setKeyUsage(CertificateKeyUsage.DIGITAL_SIGNATURE)
                    .setEnhancedKeyUsage(List.of("1.3.6.1.5.5.7.3.3")).setValidityInMonths(3)
                    .setLifetimeActions(new LifetimeAction(CertificatePolicyAction.EMAIL_CONTACTS).setDaysBeforeExpiry(20));
            var created = vault.create(prefix + "-usages", policy);
            var leaf = Vault.leaf(created.getCer());
            Report.expect("usages", leaf.getExtendedKeyUsage(), List.of("1.3.6.1.5.5.7.3.3"));
            Report.expect("key usage", leaf.getKeyUsage()[0], true);
            Report.expect("action", created.getPolicy().getLifetimeActions().get(0).getDaysBeforeExpiry(), 20);
        });
        Report.operation("a bad name or policy is refused", () -> {
            Report.refused(405, () -> vault.certificates.beginCreateCertificate("", Vault.elliptic("Self", "CN=x")).poll());
            Report.refused(400, () -> vault.certificates.beginCreateCertificate("a_b", Vault.elliptic("Self", "CN=x")).poll(),
                    "invalid name");
            Report.refused(400, () -> vault.certificates
                    .beginCreateCertificate(prefix + "-bad", Vault.elliptic("Self", "no name")).poll(), "X.500");
        });
    }

    /** Has the client send text as it is. */
    private static CertificatePolicy pem() {
        return new CertificatePolicy("Unknown", "CN=x").setContentType(CertificateContentType.PEM);
    }

    void imports() {
        Report.operation("import PKCS #12", () -> {
            var imported = vault.load(prefix + "-pfx", "rsa.pfx");
            Report.expect("certificate", imported.getCer(), Vault.material("rsa.der"));
            Report.expect("key", imported.getPolicy().getKeySize(), 2048);
        });
        Report.operation("import PKCS #12 with a password", () -> {
            var imported = vault.certificates.importCertificate(Vault.loading(prefix + "-password", "password.pfx")
                    .setPassword("a password").setTags(Map.of("colour", "blue")));
            Report.expect("certificate", imported.getCer(), Vault.material("rsa.der"));
            Report.expect("tags", imported.getProperties().getTags(), Map.of("colour", "blue"));
        });
        Report.operation("import PEM", () -> {
            var imported = vault.certificates.importCertificate(Vault.loading(prefix + "-text", "ec.pem").setPolicy(pem()));
            Report.expect("certificate", imported.getCer(), Vault.material("ec.der"));
            Report.expect("content type", imported.getPolicy().getContentType(), CertificateContentType.PEM);
        });
        Report.operation("import PEM in base64", () -> {
            var imported = vault.load(prefix + "-base64", "ec.pem");
            Report.expect("certificate", imported.getCer(), Vault.material("ec.der"));
            Report.expect("content type", imported.getPolicy().getContentType(), CertificateContentType.PEM);
        });
        Report.operation("import a chain in any order", () -> {
            var imported = vault.certificates.importCertificate(Vault.loading(prefix + "-chain", "chain.pem").setPolicy(pem()));
            Report.expect("certificate", imported.getCer(), Vault.material("ec.der"));
        });
        Report.operation("import disabled, keeping the order of the chain", () -> {
            // This client takes what is sent as enabled from the policy.
            var policy = new CertificatePolicy("Unknown", "CN=x").setEnabled(false);
            var imported = vault.certificates.importCertificate(Vault.loading(prefix + "-off", "rsa.pfx")
                    .setEnabled(false).setPolicy(policy).setCertificateOrderPreserved(true));
            Report.expect("order", imported.getProperties().isCertificateOrderPreserved(), true);
            Report.expect("enabled", imported.getProperties().isEnabled(), false);
        });
        Report.operation("import a new version", () -> {
            var imported = vault.load(prefix + "-pfx", "ec.pem");
            Report.expect("id", vault.certificates.getCertificate(prefix + "-pfx").getId(), imported.getId());
            Report.expect("versions", vault.versions(prefix + "-pfx").size(), 2);
        });
        Report.operation("what cannot be imported is refused", () -> {
            Report.refused(400, () -> vault.certificates.importCertificate(
                    Vault.loading(prefix + "-bad", "password.pfx").setPassword("another")), "PKCS#12");
            Report.refused(400, () -> vault.load(prefix + "-bad", "keyless.pem"), "private key");
            Report.refused(404, () -> vault.certificates.getCertificate(prefix + "-bad"), "not found");
        });
    }

    void changes() {
        var name = prefix + "-changed";
        var before = new KeyVaultCertificateWithPolicy[1];
        Report.operation("update the latest version", () -> {
            before[0] = vault.certificates.importCertificate(
                    Vault.loading(name, "rsa.pfx").setTags(Map.of("colour", "blue")));
            var first = before[0].getProperties().getUpdatedOn();
            var tagged = vault.certificates.updateCertificateProperties(
                    before[0].getProperties().setTags(Map.of("colour", "red"))).getProperties();
            Report.expect("tags", tagged.getTags(), Map.of("colour", "red"));
            Report.expect("updated later", tagged.getUpdatedOn().isAfter(first), true);
            var off = vault.certificates.updateCertificateProperties(tagged.setEnabled(false)).getProperties();
            Report.expect("enabled", off.isEnabled(), false);
            Report.expect("updated later", off.getUpdatedOn().isAfter(tagged.getUpdatedOn()), true);
            Report.expect("readable", vault.certificates.getCertificate(name).getProperties().isEnabled(), false);
        });
        Report.operation("update a version", () -> {
            var latest = vault.load(name, "rsa.pfx");
            var updated = vault.certificates.updateCertificateProperties(
                    before[0].getProperties().setEnabled(true).setTags(Map.of())).getProperties();
            Report.expect("id", updated.getId(), before[0].getId());
            Report.expect("enabled", updated.isEnabled(), true);
            Report.expect("latest", vault.certificates.getCertificate(name).getId(), latest.getId());
        });
        Report.operation("update a policy", () -> {
            var policy = vault.certificates.getCertificatePolicy(name).setKeyType(CertificateKeyType.EC)
                    .setKeySize(384).setKeyCurveName(CertificateKeyCurveName.P_384).setValidityInMonths(7);
            var updated = vault.certificates.updateCertificatePolicy(name, policy);
            Report.expect("key", List.of(updated.getKeyType(), updated.getKeyCurveName(), updated.getKeySize()),
                    List.of(CertificateKeyType.EC, CertificateKeyCurveName.P_384, 384));
            Report.expect("validity", vault.certificates.getCertificatePolicy(name).getValidityInMonths(), 7);
            Report.expect("subject", updated.getSubject(), policy.getSubject());
        });
        Report.operation("administrators of an issuer", () -> {
            var administrator = new AdministratorContact().setFirstName("First").setLastName("Last")
                    .setEmail("first@example.com").setPhone("1234");
            vault.certificates.createIssuer(new CertificateIssuer(name, "Test").setAccountId("account")
                    .setAdministratorContacts(List.of(administrator)));
            var stored = vault.certificates.getIssuer(name);
            Report.expect("email", stored.getAdministratorContacts().get(0).getEmail(), "first@example.com");
            var updated = vault.certificates.updateIssuer(stored.setEnabled(false));
            Report.expect("enabled", updated.isEnabled(), false);
            Report.expect("account", updated.getAccountId(), "account");
            Report.expect("deleted", vault.certificates.deleteIssuer(name).isEnabled(), false);
        });
    }

    /** A vault has one set of contacts: no other client may change it meanwhile. */
    void contacts() {
        Report.operation("set, get and delete contacts", () -> {
            var wanted = List.of("one@example.com", "two@example.com");
            var contacts = wanted.stream().map(e -> new CertificateContact().setEmail(e)).collect(Collectors.toList());
            for (var found : List.of(vault.certificates.setContacts(contacts), vault.certificates.listContacts(),
                    vault.certificates.deleteContacts())) {
                Report.expect("contacts", found.stream().map(CertificateContact::getEmail).collect(Collectors.toList()), wanted);
            }
            Report.refused(404, () -> vault.certificates.listContacts().stream().count(), "not found");
        });
    }

    /** More than a page has: this client leaves the size of pages to the service. */
    private static final int LISTED = 27;

    void lists() {
        var wanted = new ArrayList<String>();
        Report.operation("page through certificates", () -> {
            for (int i = 0; i < LISTED; i++) {
                wanted.add(String.format("%s-listed-%02d", prefix, i));
                vault.load(wanted.get(i), "ec.pem");
            }
            var found = Vault.names(vault.certificates.listPropertiesOfCertificates());
            found.retainAll(wanted);
            Report.expect("names", found, wanted);
            var pages = vault.certificates.listPropertiesOfCertificates().streamByPage().count();
            Report.expect("more than a page", pages > 1, true);
        });
        Report.operation("page through versions", () -> {
            for (int i = 1; i < LISTED; i++) {
                vault.load(wanted.get(0), "ec.pem");
            }
            var versions = vault.certificates.listPropertiesOfCertificateVersions(wanted.get(0));
            Report.expect("versions", versions.stream().map(CertificateProperties::getVersion).distinct().count(), (long) LISTED);
        });
        Report.operation("page through deleted certificates", () -> {
            for (String name : wanted) {
                vault.delete(name);
            }
            var found = vault.certificates.listDeletedCertificates(true, null).stream().map(c -> c.getName())
                    .filter(wanted::contains).collect(Collectors.toList());
            Report.expect("names", found, wanted);
        });
        Report.operation("what is not there is not found", () -> {
            var nothing = prefix + "-nothing";
            var client = vault.certificates;
            for (Report.Work work : List.<Report.Work>of(
                    () -> client.getCertificate(nothing),
                    () -> client.getCertificateVersion(nothing, "0".repeat(32)),
                    () -> client.getCertificatePolicy(nothing),
                    () -> client.deleteCertificateOperation(nothing),
                    () -> client.cancelCertificateOperation(nothing),
                    () -> client.backupCertificate(nothing),
                    () -> client.beginDeleteCertificate(nothing).poll(),
                    () -> client.getDeletedCertificate(nothing),
                    () -> client.purgeDeletedCertificate(nothing),
                    () -> client.beginRecoverDeletedCertificate(nothing).poll(),
                    () -> client.getIssuer(nothing),
                    () -> client.deleteIssuer(nothing))) {
                Report.refused(404, work, "not found");
            }
        });
    }

    void backups() {
        var name = prefix + "-kept";
        var backup = new byte[1][];
        Report.operation("back up and restore", () -> {
            vault.load(name, "rsa.pfx");
            var before = vault.load(name, "ec.pem");
            backup[0] = vault.certificates.backupCertificate(name);
            vault.delete(name);
            vault.certificates.purgeDeletedCertificate(name);
            var restored = vault.certificates.restoreCertificateBackup(backup[0]);
            Report.expect("id", restored.getId(), before.getId());
            Report.expect("certificate", restored.getCer(), before.getCer());
            Report.expect("versions", vault.versions(name).size(), 2);
        });
        Report.operation("restore over a certificate is refused", () -> {
            Report.refused(409, () -> vault.certificates.restoreCertificateBackup(backup[0]), "already exists");
            vault.delete(name);
            Report.refused(409, () -> vault.certificates.restoreCertificateBackup(backup[0]));
        });
        Report.operation("restore of anything else is refused", () -> {
            var text = "no backup".getBytes(StandardCharsets.UTF_8);
            Report.refused(400, () -> vault.certificates.restoreCertificateBackup(text), "Backup blob is corrupt.");
            Report.refused(400, () -> vault.certificates.restoreCertificateBackup(new byte[4728]),
                    "Backup blob contains invalid or corrupt version.");
        });
    }
}
