import com.azure.core.http.rest.PagedIterable;
import com.azure.identity.DefaultAzureCredential;
import com.azure.identity.DefaultAzureCredentialBuilder;
import com.azure.security.keyvault.certificates.CertificateClient;
import com.azure.security.keyvault.certificates.CertificateClientBuilder;
import com.azure.security.keyvault.certificates.models.CertificateKeyCurveName;
import com.azure.security.keyvault.certificates.models.CertificateKeyType;
import com.azure.security.keyvault.certificates.models.CertificatePolicy;
import com.azure.security.keyvault.certificates.models.CertificateProperties;
import com.azure.security.keyvault.certificates.models.DeletedCertificate;
import com.azure.security.keyvault.certificates.models.ImportCertificateOptions;
import com.azure.security.keyvault.certificates.models.KeyVaultCertificateWithPolicy;
import com.azure.security.keyvault.keys.KeyClient;
import com.azure.security.keyvault.keys.KeyClientBuilder;
import com.azure.security.keyvault.keys.cryptography.CryptographyClient;
import com.azure.security.keyvault.keys.cryptography.CryptographyClientBuilder;
import com.azure.security.keyvault.secrets.SecretClient;
import com.azure.security.keyvault.secrets.SecretClientBuilder;
import java.io.ByteArrayInputStream;
import java.net.HttpURLConnection;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

/** The clients of a vault, with what the operations do more than once. */
final class Vault {
    static final String URL = "https://myvault.vault.azure.net";
    static final Duration LIMIT = Duration.ofMinutes(2);

    private final DefaultAzureCredential credential = new DefaultAzureCredentialBuilder().build();
    final CertificateClient certificates =
            new CertificateClientBuilder().vaultUrl(URL).credential(credential).buildClient();
    final SecretClient secrets = new SecretClientBuilder().vaultUrl(URL).credential(credential).buildClient();
    final KeyClient keys = new KeyClientBuilder().vaultUrl(URL).credential(credential).buildClient();

    CryptographyClient cryptography(String key) {
        return new CryptographyClientBuilder().keyIdentifier(key).credential(credential).buildClient();
    }

    KeyVaultCertificateWithPolicy create(String name, CertificatePolicy policy) {
        var poller = certificates.beginCreateCertificate(name, policy);
        poller.waitForCompletion(LIMIT);
        return poller.getFinalResult();
    }

    DeletedCertificate delete(String name) {
        var poller = certificates.beginDeleteCertificate(name);
        return poller.waitForCompletion(LIMIT).getValue();
    }

    KeyVaultCertificateWithPolicy load(String name, String file) throws Exception {
        return certificates.importCertificate(loading(name, file));
    }

    static ImportCertificateOptions loading(String name, String file) throws Exception {
        return new ImportCertificateOptions(name, material(file));
    }

    List<String> versions(String name) {
        return certificates.listPropertiesOfCertificateVersions(name).stream()
                .map(CertificateProperties::getVersion).collect(Collectors.toList());
    }

    static List<String> names(PagedIterable<CertificateProperties> items) {
        return items.stream().map(CertificateProperties::getName).collect(Collectors.toList());
    }

    static CertificatePolicy elliptic(String issuer, String subject) {
        return new CertificatePolicy(issuer, subject)
                .setKeyType(CertificateKeyType.EC).setKeyCurveName(CertificateKeyCurveName.P_256);
    }

    /** A file with a certificate or a key that was made elsewhere. */
    static byte[] material(String name) throws Exception {
        return Files.readAllBytes(Path.of(System.getenv("CERTWRIGHT_E2E_MATERIAL"), name));
    }

    /** Brings a CSR to the CA and returns its certificates in DER. */
    static List<byte[]> sign(byte[] csr) throws Exception {
        var request = (HttpURLConnection) new URL(System.getenv("CERTWRIGHT_E2E_CA")).openConnection();
        request.setDoOutput(true);
        request.getOutputStream().write(csr);
        try (var answer = request.getInputStream()) {
            return certificatesIn(answer.readAllBytes());
        }
    }

    /** The certificates in DER of a text in PEM that has nothing else. */
    static List<byte[]> certificatesIn(byte[] pem) throws Exception {
        var found = new ArrayList<byte[]>();
        for (Certificate c : CertificateFactory.getInstance("X.509").generateCertificates(new ByteArrayInputStream(pem))) {
            found.add(c.getEncoded());
        }
        return found;
    }

    static X509Certificate leaf(byte[] der) throws Exception {
        return (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(new ByteArrayInputStream(der));
    }
}
