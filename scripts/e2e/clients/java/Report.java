import com.azure.core.exception.HttpResponseException;
import com.azure.core.util.CoreUtils;
import java.util.Arrays;
import java.util.Locale;
import java.util.Objects;

/** What a conformance program prints: a line for each operation, and what decides which it is. */
final class Report {
    private Report() {}

    interface Work {
        void run() throws Exception;
    }

    /**
     * Does what an operation is. Whatever becomes of it, the program goes on: what needs its result
     * fails by itself.
     */
    static void operation(String name, Work work) {
        try {
            work.run();
            print(name, "passed", "");
        } catch (Exception | AssertionError | LinkageError e) {
            print(name, "failed", String.valueOf(e).replaceAll("\\s+", " "));
        }
    }

    static void notOffered(String name, String why) {
        print(name, "not offered", why);
    }

    static void version(String artifact) {
        print("version", artifact, CoreUtils.getProperties(artifact + ".properties").get("version"));
    }

    private static synchronized void print(String... fields) {
        System.out.println(String.join("\t", fields));
    }

    static void expect(String what, Object got, Object want) {
        if (!Objects.deepEquals(got, want)) {
            throw new AssertionError(what + ": got " + text(got) + ", want " + text(want));
        }
    }

    private static String text(Object value) {
        return value instanceof Object[] ? Arrays.deepToString((Object[]) value) : String.valueOf(value);
    }

    /** The call must be refused with this status, and a message that has all of this in it. */
    static void refused(int status, Work work, String... saying) throws Exception {
        try {
            work.run();
        } catch (HttpResponseException e) {
            expect("status of " + e.getMessage(), e.getResponse().getStatusCode(), status);
            for (String part : saying) {
                boolean says = e.getMessage().toLowerCase(Locale.ROOT).contains(part.toLowerCase(Locale.ROOT));
                expect(e.getMessage() + " says " + part, says, true);
            }
            return;
        }
        throw new AssertionError("it was not refused, want " + status);
    }
}
