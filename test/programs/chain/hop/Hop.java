import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.UUID;
import java.util.concurrent.Executors;

/**
 * A link of a chain in Java: the JDK's own HTTP server with a thread pool, calling
 * out by HttpURLConnection, which keeps its connections. See package chain for what
 * it is told.
 */
public final class Hop {
    private static final String NEXT = System.getenv().getOrDefault("NEXT", "");
    private static final String TRUTH = System.getenv("GROUND_TRUTH");

    public static void main(String[] arguments) throws IOException {
        String[] listen = System.getenv("LISTEN").split(":");
        HttpServer server = HttpServer.create(
            new InetSocketAddress(listen[0], Integer.parseInt(listen[1])), 1024);
        server.setExecutor(Executors.newFixedThreadPool(64));
        server.createContext("/", Hop::handle);
        server.start();
    }

    private static void handle(HttpExchange exchange) throws IOException {
        exchange.getRequestBody().readAllBytes();
        String query = exchange.getRequestURI().getRawQuery();
        String request = query != null && query.startsWith("id=") ? query.substring(3) : "";
        record("{\"request\":\"" + request + "\"}\n");
        int status = 200;
        String body = "java\n";
        try {
            body += NEXT.isEmpty() ? "" : call(request);
        } catch (IOException problem) {
            status = 502;
            body += problem + "\n";
        }
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", "text/plain");
        exchange.sendResponseHeaders(status, bytes.length);
        exchange.getResponseBody().write(bytes);
        exchange.close();
    }

    private static String call(String request) throws IOException {
        String name = UUID.randomUUID().toString();
        record("{\"request\":\"" + request + "\",\"call\":\"" + name + "\"}\n");
        HttpURLConnection connection =
            (HttpURLConnection) new URL(NEXT + "?id=" + name).openConnection();
        try (InputStream body = connection.getInputStream()) {
            return new String(body.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    /** Appends one line of ground truth. */
    private static void record(String line) throws IOException {
        if (TRUTH != null) {
            Files.writeString(Path.of(TRUTH), line,
                StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        }
    }
}
