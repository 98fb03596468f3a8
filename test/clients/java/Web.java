import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.sql.*;
import java.util.concurrent.*;

/**
 * An HTTP server whose pages ask PostgreSQL by JDBC, each thread on a connection
 * of its own. Its queries are named as those of ../python/web.py.
 */
class Web {
    static final ThreadLocal<Connection> connection = ThreadLocal.withInitial(() -> {
        try {
            return DriverManager.getConnection(
                "jdbc:postgresql://127.0.0.1:" + System.getenv("PGPORT") + "/postgres?user=postgres");
        } catch (SQLException problem) {
            throw new IllegalStateException(problem);
        }
    });

    public static void main(String[] arguments) throws Exception {
        InetSocketAddress address = new InetSocketAddress("127.0.0.1", Integer.parseInt(System.getenv("PORT")));
        HttpServer server = HttpServer.create(address, 1024);
        server.setExecutor(Executors.newFixedThreadPool(16));
        server.createContext("/page", exchange -> {
            byte[] body = "done\n".getBytes();
            int code = 200;
            try {
                page(exchange.getRequestURI().getQuery());
            } catch (SQLException problem) {
                code = 500;
                body = problem.toString().getBytes();
            }
            exchange.sendResponseHeaders(code, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
    }

    static void page(String query) throws SQLException {
        String name = "q_" + query.substring(query.indexOf("id=") + 3).replace('-', '_');
        try (Statement statement = connection.get().createStatement()) {
            statement.execute("SELECT pg_sleep(random() * 0.004) AS " + name);
            statement.execute("SELECT abalance AS " + name + " FROM pgbench_accounts WHERE aid = 7");
        }
        try (PreparedStatement statement = connection.get().prepareStatement(
                "SELECT tbalance AS " + name + " FROM pgbench_tellers WHERE tid = ?")) {
            statement.setInt(1, 3);
            statement.execute();
        }
    }
}
