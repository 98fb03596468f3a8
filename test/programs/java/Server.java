import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.URL;
import java.net.URLDecoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Executors;

/**
 * The JDK's own HTTP server with a fixed thread pool, calling out by
 * java.net.http.HttpClient, or by HttpURLConnection with the argument
 * "urlconnection".
 */
public final class Server {
    private static final HttpClient CLIENT =
        HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    private static boolean urlConnection;

    public static void main(String[] arguments) throws IOException {
        urlConnection = arguments.length > 0 && arguments[0].equals("urlconnection");
        int port = Integer.parseInt(System.getenv("PORT"));
        HttpServer server = HttpServer.create(
            new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 1024);
        server.setExecutor(Executors.newFixedThreadPool(64));
        server.createContext("/", Server::handle);
        server.start();
    }

    private static void handle(HttpExchange exchange) throws IOException {
        exchange.getRequestBody().readAllBytes();
        Map<String, String> query = query(exchange.getRequestURI());
        String request = exchange.getRequestHeaders().getFirst("X-Request-Id");
        if (request == null) {
            request = query.getOrDefault("id", "");
        }
        record("{\"request\":\"" + request + "\"}\n");
        int status = 200;
        byte[] body;
        try {
            switch (exchange.getRequestURI().getPath()) {
                case "/": body = text("hello\n"); break;
                case "/slow":
                    Thread.sleep(Long.parseLong(query.getOrDefault("ms", "200")));
                    body = text("slow\n");
                    break;
                case "/error": status = 500; body = text("error\n"); break;
                case "/call": body = call(request, query.get("url")); break;
                default: status = 404; body = text("not found\n");
            }
        } catch (IOException | InterruptedException problem) {
            status = 502;
            body = text(problem + "\n");
        }
        exchange.getResponseHeaders().set("Content-Type", "text/plain");
        exchange.sendResponseHeaders(status, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }

    private static byte[] call(String request, String url) throws IOException, InterruptedException {
        String name = UUID.randomUUID().toString();
        record("{\"request\":\"" + request + "\",\"call\":\"" + name + "\"}\n");
        String target = url + (url.contains("?") ? "&" : "?") + "id=" + name;
        if (!urlConnection) {
            return CLIENT.send(HttpRequest.newBuilder(URI.create(target)).build(),
                HttpResponse.BodyHandlers.ofByteArray()).body();
        }
        HttpURLConnection connection = (HttpURLConnection) new URL(target).openConnection();
        return connection.getInputStream().readAllBytes();
    }

    /** Ground truth as JSON lines; see ../python/truth.py for the form. */
    private static void record(String line) throws IOException {
        String file = System.getenv("GROUND_TRUTH");
        if (file != null) {
            Files.write(Path.of(file), text(line),
                StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        }
    }

    private static Map<String, String> query(URI uri) {
        Map<String, String> values = new HashMap<>();
        if (uri.getRawQuery() == null) {
            return values;
        }
        for (String pair : uri.getRawQuery().split("&")) {
            int equals = pair.indexOf('=');
            if (equals > 0) {
                values.put(pair.substring(0, equals),
                    URLDecoder.decode(pair.substring(equals + 1), StandardCharsets.UTF_8));
            }
        }
        return values;
    }

    private static byte[] text(String value) {
        return value.getBytes(StandardCharsets.UTF_8);
    }
}
