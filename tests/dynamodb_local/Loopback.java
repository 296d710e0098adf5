import com.amazonaws.services.dynamodbv2.local.main.ServerRunner;
import com.amazonaws.services.dynamodbv2.local.server.DynamoDBProxyServer;
import java.lang.reflect.Field;
import org.eclipse.jetty.server.Connector;
import org.eclipse.jetty.server.Server;

/**
 * DynamoDB Local on a free port of 127.0.0.1: by itself it listens at every address, and has no option against that.
 *
 * Prints the port once it listens, and ends when its standard input does: whoever started it is gone then.
 */
public class Loopback {
    public static void main(String[] arguments) throws Exception {
        // It wants a port; the one that it gets is asked for below.
        DynamoDBProxyServer local =
                ServerRunner.createServerFromCommandLineArgs(new String[] {"-inMemory", "-sharedDb", "-port", "8000"});
        Server server = null;
        for (Field field : DynamoDBProxyServer.class.getDeclaredFields()) {
            field.setAccessible(true);
            if (field.get(local) instanceof Server) {
                server = (Server) field.get(local);
            }
        }
        for (Connector connector : server.getConnectors()) {
            connector.setHost("127.0.0.1");
            connector.setPort(0);
        }
        local.start();
        System.out.println("port " + server.getConnectors()[0].getLocalPort());
        while (System.in.read() != -1) {
            // Nothing is ever said to it.
        }
        System.exit(0);
    }
}
