// Kafka's own message classes as an oracle: every line of stdin is answered by one of stdout.
//
//   codec CLASS VERSION HEX    decode HEX, encode the result again, and say it as JSON
//                              answer: HEX, tab, base64 of the JSON
//   spec NAME                  the definition of a message, from the jar
//                              answer: base64 of its JSON
//
// Anything that goes wrong is answered by "error" and its words.

import com.fasterxml.jackson.databind.JsonNode;
import java.io.BufferedReader;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HexFormat;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.Readable;

public final class KafkaCodec {
    private static final HexFormat HEX = HexFormat.of();

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.US_ASCII);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String answer;
            try {
                answer = answer(line.split(" ", -1));
            } catch (Throwable error) {
                Throwable cause = error.getCause() == null ? error : error.getCause();
                answer = "error " + cause.toString().replace('\n', ' ');
            }
            out.println(answer);
            out.flush();
        }
    }

    private static String answer(String[] words) throws Exception {
        return words[0].equals("spec") ? spec(words[1]) : codec(words[1], Short.parseShort(words[2]), HEX.parseHex(words[3]));
    }

    private static String spec(String name) throws Exception {
        try (InputStream stream = KafkaCodec.class.getResourceAsStream("/common/message/" + name + ".json")) {
            return Base64.getEncoder().encodeToString(stream.readAllBytes());
        }
    }

    private static String codec(String className, short version, byte[] bytes) throws Exception {
        Class<?> type = Class.forName(className);
        ByteBufferAccessor input = new ByteBufferAccessor(ByteBuffer.wrap(bytes));
        Message message = (Message) type.getConstructor(Readable.class, short.class).newInstance(input, version);
        if (input.remaining() != 0) throw new IllegalStateException(input.remaining() + " bytes were not read");
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer written = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(written), cache, version);
        String json = json(type, message, version);
        return HEX.formatHex(written.array(), 0, written.position()) + "\t"
            + Base64.getEncoder().encodeToString(json.getBytes(StandardCharsets.UTF_8));
    }

    private static String json(Class<?> type, Message message, short version) throws Exception {
        Class<?> converter = Class.forName(type.getName() + "JsonConverter");
        Method write = converter.getMethod("write", type, short.class);
        return ((JsonNode) write.invoke(null, message, version)).toString();
    }
}
