import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;

/** Makes the requests of a plan: Client URL PLAN POOL THREADS. Plan and output: see ../plan.go and ../outcome.go. */
public class Client {
    static byte[] pool;
    static HttpClient client;

    public static void main(String[] args) throws Exception {
        System.setProperty("jdk.httpclient.allowRestrictedHeaders", "connection");
        client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
        pool = Files.readAllBytes(Path.of(args[2]));
        List<String> plan = Files.readAllLines(Path.of(args[1]));
        int n = Integer.parseInt(args[3]);
        Thread[] threads = new Thread[n];
        for (int i = 0; i < n; i++) {
            int first = i;
            threads[i] = new Thread(() -> {
                for (int at = first; at < plan.size(); at += n) {
                    make(args[0], plan.get(at).split("\t", -1));
                }
            });
            threads[i].start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        System.exit(0); // the selector's thread would stay a while
    }

    static void make(String url, String[] q) {
        int offset = Integer.parseInt(q[4]);
        byte[] body = Arrays.copyOfRange(pool, offset, offset + Integer.parseInt(q[5]));
        int status = 0;
        byte[] got = {};
        String error = "";
        try {
            var publisher = switch (q[3]) {
                case "length" -> BodyPublishers.ofByteArray(body);
                case "chunked" -> BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(body));
                default -> BodyPublishers.noBody();
            };
            var request = HttpRequest.newBuilder(URI.create(url + q[2])).method(q[1], publisher).timeout(Duration.ofSeconds(60));
            if (!q[9].isEmpty()) {
                for (String header : q[9].split("\u001f")) {
                    int colon = header.indexOf(':');
                    request.header(header.substring(0, colon), header.substring(colon + 1));
                }
            }
            if (q[7].equals("expect")) {
                request.expectContinue(true);
            }
            if (q[8].equals("close")) {
                request.header("Connection", "close");
            }
            var answer = client.send(request.build(), BodyHandlers.ofByteArray());
            status = answer.statusCode();
            got = answer.body();
        } catch (Exception e) {
            error = e.toString().replaceAll("\\s+", " ");
        }
        System.out.println(String.join("\t", q[0], "" + status, digest(body), digest(got), error));
    }

    static String digest(byte[] bytes) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
        } catch (java.security.NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
