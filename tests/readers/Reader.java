import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipInputStream;

import static java.nio.charset.StandardCharsets.UTF_8;

/**
 * Reads archives with both of Java's readers, which are stricter than most and not alike: ZipFile goes by the central
 * directory, ZipInputStream by the local headers as they come. A JVM takes a second to start, so one reads all archives.
 *
 * In:  lines "file PATH" and "stream PATH".
 * Out: for each entry "NAME SHA256", both in hexadecimal; then "ok", or "failed: " and the exception.
 */
public final class Reader {
    private static final HexFormat HEX = HexFormat.of();
    private static final PrintStream OUT = new PrintStream(System.out, false, UTF_8);

    public static void main(String[] arguments) throws IOException {
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, UTF_8));
        for (String request; (request = requests.readLine()) != null; ) {
            String[] words = request.split(" ", 2);
            try {
                if (words[0].equals("file")) {
                    readFile(words[1]);
                } else {
                    readStream(words[1]);
                }
                OUT.println("ok");
            } catch (Exception refused) {
                OUT.println("failed: " + refused);
            }
            OUT.flush();
        }
    }

    private static void readFile(String path) throws Exception {
        try (ZipFile archive = new ZipFile(path)) {
            for (ZipEntry entry : archive.stream().toList()) {
                try (InputStream content = archive.getInputStream(entry)) {
                    print(entry, content);
                }
            }
        }
    }

    private static void readStream(String path) throws Exception {
        try (ZipInputStream archive = new ZipInputStream(new FileInputStream(path))) {
            for (ZipEntry entry; (entry = archive.getNextEntry()) != null; ) {
                print(entry, archive);
            }
        }
    }

    private static void print(ZipEntry entry, InputStream content) throws Exception {
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        new DigestInputStream(content, digest).transferTo(OutputStream.nullOutputStream());
        OUT.println(HEX.formatHex(entry.getName().getBytes(UTF_8)) + " " + HEX.formatHex(digest.digest()));
    }
}
