import com.azure.core.util.polling.SyncPoller;
import com.azure.security.keyvault.certificates.models.CertificateIssuer;
import com.azure.security.keyvault.certificates.models.CertificateOperation;
import com.azure.security.keyvault.certificates.models.CertificatePolicy;
import com.azure.security.keyvault.certificates.models.DeletedCertificate;
import com.azure.security.keyvault.certificates.models.KeyVaultCertificateWithPolicy;
import com.azure.security.keyvault.certificates.models.MergeCertificateOptions;
import com.azure.security.keyvault.certificates.models.SubjectAlternativeNames;
import java.util.List;

/**
 * Issuance by the vault, by an issuer and by hand, and what becomes of certificates in the end. The
 * fields are what one operation finds and a later one needs.
 */
final class Lifecycle {
    private final Vault vault;
    private final String own;
    private final String manual;
    private final String held;
    private final String issuer;
    private final String cancelled;
    private KeyVaultCertificateWithPolicy latest;
    private KeyVaultCertificateWithPolicy old;
    private CertificateOperation waiting;
    private SyncPoller<CertificateOperation, KeyVaultCertificateWithPolicy> first;
    private SyncPoller<CertificateOperation, KeyVaultCertificateWithPolicy> second;
    private DeletedCertificate deleted;

    Lifecycle(Vault vault, String prefix) {
        this.vault = vault;
        own = prefix + "-self";
        manual = prefix + "-manual";
        held = prefix + "-held";
        issuer = prefix + "-issuer";
        cancelled = prefix + "-cancelled";
    }

    private CertificateOperation pending(String name) {
        return vault.certificates.getCertificateOperation(name).poll().getValue();
    }

    private void script(String text) {
        vault.certificates.updateIssuer(new CertificateIssuer(issuer).setOrganizationId(text));
    }

    private SyncPoller<CertificateOperation, KeyVaultCertificateWithPolicy> begin(String name, String by) {
        return vault.certificates.beginCreateCertificate(name, Vault.elliptic(by, "CN=" + name + ".example.com"));
    }

    private KeyVaultCertificateWithPolicy merge(String name, List<byte[]> chain) {
        return vault.certificates.mergeCertificate(new MergeCertificateOptions(name, chain));
    }

    void run() {
        Report.operation("create with issuer Self", () -> {
            var policy = new CertificatePolicy("Self", "CN=self.example.com", new SubjectAlternativeNames()
                    .setDnsNames(List.of("self.example.com"))).setValidityInMonths(6);
            var poller = vault.certificates.beginCreateCertificate(own, policy);
            var done = poller.waitForCompletion(Vault.LIMIT).getValue();
            Report.expect("target", done.getTarget(), Vault.URL + "/certificates/" + own);
            latest = poller.getFinalResult();
            Report.expect("enabled", latest.getProperties().isEnabled(), true);
            Report.expect("subject", Vault.leaf(latest.getCer()).getSubjectX500Principal().getName(), "CN=self.example.com");
        });
        Report.operation("read certificate, version and policy", () -> {
            var version = latest.getProperties().getVersion();
            var found = vault.certificates.getCertificateVersion(own, version);
            Report.expect("certificate", found.getCer(), vault.certificates.getCertificate(own).getCer());
            Report.expect("key", found.getKeyId(), Vault.URL + "/keys/" + own + "/" + version);
            Report.expect("secret", found.getSecretId(), Vault.URL + "/secrets/" + own + "/" + version);
            var policy = vault.certificates.getCertificatePolicy(own);
            Report.expect("policy", List.of(policy.getIssuerName(), policy.getValidityInMonths(), policy.getKeySize()),
                    List.of("Self", 6, 2048));
        });
        Report.operation("list certificates and versions", () -> {
            Report.expect("listed", Vault.names(vault.certificates.listPropertiesOfCertificates()).contains(own), true);
            Report.expect("versions", vault.versions(own), List.of(latest.getProperties().getVersion()));
        });
        Report.operation("delete the operation", () -> {
            Report.expect("status", vault.certificates.deleteCertificateOperation(own).getStatus(), "completed");
            Report.refused(404, () -> vault.certificates.deleteCertificateOperation(own), "not found");
        });
        Report.operation("create with issuer Unknown", () -> {
            waiting = begin(manual, "Unknown").poll().getValue();
            Report.expect("status", waiting.getStatus(), "inProgress");
            Report.expect("enabled", vault.certificates.getCertificate(manual).getProperties().isEnabled(), false);
            Report.expect("listed", Vault.names(vault.certificates.listPropertiesOfCertificates()).contains(manual), false);
            var all = vault.certificates.listPropertiesOfCertificates(true, null);
            Report.expect("listed with pending ones", Vault.names(all).contains(manual), true);
            Report.refused(409, () -> begin(manual, "Unknown").poll());
        });
        Report.operation("merge", () -> {
            var chain = Vault.sign(waiting.getCsr());
            Report.expect("certificate", merge(manual, chain).getCer(), chain.get(0));
            Report.expect("status", pending(manual).getStatus(), "completed");
        });
        Report.operation("set, update, get and list an issuer", () -> {
            vault.certificates.createIssuer(new CertificateIssuer(issuer, "Test").setAccountId("account")
                    .setPassword("secret").setOrganizationId("issue"));
            script("hold");
            var stored = vault.certificates.getIssuer(issuer);
            Report.expect("issuer", List.of(stored.getProvider(), stored.getOrganizationId(), stored.getAccountId()),
                    List.of("Test", "hold", "account"));
            Report.expect("password", stored.getPassword(), null);
            var listed = vault.certificates.listPropertiesOfIssuers().stream().anyMatch(i -> i.getName().equals(issuer));
            Report.expect("listed", listed, true);
        });
        Report.operation("create at an issuer that holds", () -> {
            first = begin(held, issuer);
            var now = first.poll().getValue();
            Report.expect("status", now.getStatus(), "inProgress");
            var chain = Vault.sign(now.getCsr());
            Report.refused(403, () -> merge(held, chain), "Forbidden");
        });
        Report.operation("the issuer issues", () -> {
            script("issue");
            first.waitForCompletion(Vault.LIMIT);
            old = first.getFinalResult();
            Report.expect("issuer", old.getPolicy().getIssuerName(), issuer);
        });
        Report.operation("the old version is served while a new one is pending", () -> {
            script("hold");
            second = begin(held, issuer);
            second.poll();
            Report.expect("id", vault.certificates.getCertificate(held).getId(), old.getId());
        });
        Report.operation("cancel at the issuer", () -> {
            Report.expect("wish", vault.certificates.cancelCertificateOperation(held).getCancellationRequested(), true);
            Report.expect("status", second.waitForCompletion(Vault.LIMIT).getValue().getStatus(), "cancelled");
            Report.expect("id", vault.certificates.getCertificate(held).getId(), old.getId());
            Report.refused(403, () -> vault.certificates.cancelCertificateOperation(held), "Forbidden");
        });
        Report.operation("the issuer rejects", () -> {
            script("reject=The domain is not yours");
            waiting = begin(held, issuer).waitForCompletion(Vault.LIMIT).getValue();
            Report.expect("status", waiting.getStatus(), "failed");
            Report.expect("error", waiting.getError().getMessage(), "The domain is not yours");
        });
        Report.operation("merge what was obtained elsewhere", () -> {
            merge(held, Vault.sign(waiting.getCsr()).subList(0, 1));
            Report.expect("versions", vault.versions(held).size(), 2);
        });
        Report.operation("cancel right after create", () -> {
            var poller = begin(cancelled, "Self");
            poller.poll();
            poller.cancelOperation();
            Report.expect("status", poller.waitForCompletion(Vault.LIMIT).getValue().getStatus(), "cancelled");
        });
        Report.operation("delete a certificate", () -> {
            deleted = vault.delete(manual);
            Report.expect("recovery", deleted.getRecoveryId(), Vault.URL + "/deletedcertificates/" + manual);
            Report.refused(404, () -> vault.certificates.getCertificate(manual), "not found");
            Report.expect("certificate", vault.certificates.getDeletedCertificate(manual).getCer(), deleted.getCer());
            var listed = vault.certificates.listDeletedCertificates().stream().anyMatch(c -> c.getName().equals(manual));
            Report.expect("listed", listed, true);
        });
        Report.operation("create on a deleted name", () -> Report.refused(409, () -> begin(manual, "Self").poll(), "Conflict"));
        Report.operation("recover", () -> {
            vault.certificates.beginRecoverDeletedCertificate(manual).waitForCompletion(Vault.LIMIT);
            Report.expect("certificate", vault.certificates.getCertificate(manual).getCer(), deleted.getCer());
        });
        Report.operation("purge", () -> {
            for (String name : List.of(own, manual, held, cancelled)) {
                vault.delete(name);
                vault.certificates.purgeDeletedCertificate(name);
                Report.refused(404, () -> vault.certificates.getDeletedCertificate(name), "not found");
            }
        });
        Report.operation("delete the issuer", () -> {
            Report.expect("provider", vault.certificates.deleteIssuer(issuer).getProvider(), "Test");
            Report.refused(404, () -> vault.certificates.getIssuer(issuer), "not found");
        });
    }
}
