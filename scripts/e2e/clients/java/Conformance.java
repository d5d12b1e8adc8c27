import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * The whole of Key Vault's certificates API with the official Java clients.
 *
 * <pre>java Conformance PREFIX PART...</pre>
 *
 * Names begin with PREFIX; the parts run at the same time. CERTWRIGHT_E2E_CA is the URL of a CA: it
 * takes a CSR in DER and answers a chain in PEM. CERTWRIGHT_E2E_MATERIAL is a folder with
 * certificates and keys that were made elsewhere.
 *
 * <p>A line for each operation, with tabs between: its name; passed, failed or not offered; why. And
 * one for each package: version, its name, its version.
 *
 * <p>Nothing else in here knows of Certwright.
 */
public final class Conformance {
    public static void main(String[] arguments) throws InterruptedException {
        for (String artifact : List.of("certificates", "secrets", "keys")) {
            Report.version("azure-security-keyvault-" + artifact);
        }
        var prefix = arguments[0];
        var vault = new Vault();
        var parts = new Parts(vault, prefix);
        Map<String, Runnable> known = Map.of(
                "lifecycle", new Lifecycle(vault, prefix)::run,
                "creation", parts::creation,
                "imports", parts::imports,
                "changes", parts::changes,
                "contacts", parts::contacts,
                "lists", parts::lists,
                "backups", parts::backups,
                "readside", new ReadSide(vault, prefix)::run);
        var running = new ArrayList<Thread>();
        for (String part : Arrays.copyOfRange(arguments, 1, arguments.length)) {
            var thread = new Thread(known.get(part));
            thread.start();
            running.add(thread);
        }
        for (Thread thread : running) {
            thread.join();
        }
        System.exit(0); // the clients leave threads behind
    }
}
