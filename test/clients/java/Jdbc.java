import java.nio.file.*;
import java.sql.*;
import java.util.*;

/**
 * Runs the workload by JDBC at the URL that is its argument, over TCP: neither
 * driver knows unix sockets by itself. See ../python/sql.py for $WORKLOAD and
 * $GATE.
 */
class Jdbc {
    static final List<String[]> workload = new ArrayList<>();

    public static void main(String[] arguments) throws Exception {
        for (String line : Files.readAllLines(Path.of(System.getenv("WORKLOAD")))) {
            workload.add(line.split("\t"));
        }
        Connection before = DriverManager.getConnection(arguments[0]);
        PreparedStatement early = null;
        for (String[] entry : workload) {
            if (entry[0].equals("early")) {
                early = prepare(before, entry);
                early.execute();
            }
        }
        Files.readString(Path.of(System.getenv("GATE")));
        early.execute();
        work(before);
        work(DriverManager.getConnection(arguments[0]));
    }

    static PreparedStatement prepare(Connection connection, String[] entry) throws SQLException {
        PreparedStatement statement = connection.prepareStatement(entry[1]);
        for (int i = 2; i < entry.length; i++) {
            if (entry[i].matches("\\d+")) {
                statement.setInt(i - 1, Integer.parseInt(entry[i]));
            } else {
                statement.setString(i - 1, entry[i]);
            }
        }
        return statement;
    }

    static void work(Connection connection) throws SQLException {
        for (String[] entry : workload) {
            switch (entry[0]) {
                case "run" -> {
                    try (Statement statement = connection.createStatement()) {
                        statement.execute(entry[1]);
                    }
                }
                case "prepared" -> {
                    try (PreparedStatement statement = prepare(connection, entry)) {
                        statement.execute();
                    }
                }
                case "refused" -> {
                    try (Statement statement = connection.createStatement()) {
                        statement.execute(entry[1]);
                    } catch (SQLException expected) {
                        continue;
                    }
                    throw new IllegalStateException(entry[1] + " was not refused");
                }
                case "begin" -> connection.setAutoCommit(false);
                case "commit" -> {
                    connection.commit();
                    connection.setAutoCommit(true);
                }
                default -> { } // not of JDBC
            }
        }
        connection.close();
    }
}
