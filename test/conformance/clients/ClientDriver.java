// Java kafka-clients behind the line protocol of line_driver.ts. Argument: bootstrap address.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public final class ClientDriver {
    private final String address;
    private final BufferedReader in;
    private final PrintStream out;

    private ClientDriver(String address) {
        this.address = address;
        in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    }

    public static void main(String[] args) throws Exception {
        new ClientDriver(args[0]).run();
    }

    private void run() throws Exception {
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split(" ");
            try {
                switch (words[0]) {
                    case "produce" -> produce(words[1], words[2], words[3], Integer.parseInt(words[4]));
                    case "consume" -> consume(words[1], words[2], Integer.parseInt(words[3]));
                    default -> throw new IllegalArgumentException(line);
                }
                out.print("ok\n");
            } catch (Exception error) {
                out.print("error " + error.toString().replace('\n', ' ') + "\n");
            }
            out.flush();
        }
    }

    private void produce(String topic, String codec, String acks, int count) throws Exception {
        List<String> lines = new ArrayList<>();
        for (int index = 0; index < count; index++) {
            lines.add(in.readLine());
        }
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", address);
        settings.put("acks", acks);
        // The idempotent producer is the default and asks for acks=all.
        settings.put("enable.idempotence", acks.equals("-1"));
        settings.put("compression.type", codec);
        settings.put("linger.ms", 200);
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (var producer = new KafkaProducer<>(
                settings, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (String line : lines) {
                sent.add(producer.send(toRecord(topic, line)));
            }
            producer.flush();
            for (Future<RecordMetadata> each : sent) {
                each.get();
            }
        }
    }

    private static ProducerRecord<byte[], byte[]> toRecord(String topic, String line) {
        String[] fields = line.split("\t", -1);
        var headers = new RecordHeaders();
        for (String header : fields[5].split(",")) {
            if (!header.isEmpty()) {
                String[] parts = header.split(":", -1);
                headers.add(new String(bytes(parts[0]), StandardCharsets.UTF_8), bytes(parts[1]));
            }
        }
        return new ProducerRecord<>(topic, Integer.valueOf(fields[0]), Long.valueOf(fields[2]),
                bytes(fields[3]), bytes(fields[4]), headers);
    }

    private void consume(String topic, String group, int count) {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", address);
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", false);
        settings.put("fetch.max.wait.ms", 200);
        boolean alone = group.equals("-");
        if (!alone) {
            settings.put("group.id", group);
        }
        try (var consumer = new KafkaConsumer<>(
                settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            if (alone) {
                consumer.assign(consumer.partitionsFor(topic).stream()
                        .map(each -> new TopicPartition(topic, each.partition()))
                        .collect(Collectors.toList()));
            } else {
                consumer.subscribe(List.of(topic));
            }
            long deadline = System.nanoTime() + Duration.ofSeconds(90).toNanos();
            for (int found = 0; found < count; ) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(500))) {
                    out.print(toLine(record) + "\n");
                    found++;
                }
                if (System.nanoTime() > deadline) {
                    throw new IllegalStateException(found + " of " + count + " records in 90 s");
                }
            }
            if (!alone) {
                consumer.commitSync();
            }
        }
    }

    private static String toLine(ConsumerRecord<byte[], byte[]> record) {
        var headers = new StringJoiner(",");
        for (Header header : record.headers()) {
            headers.add(text(header.key().getBytes(StandardCharsets.UTF_8)) + ":" + text(header.value()));
        }
        return record.partition() + "\t" + record.offset() + "\t" + record.timestamp() + "\t"
                + text(record.key()) + "\t" + text(record.value()) + "\t" + headers;
    }

    private static byte[] bytes(String text) {
        return text.equals("-") ? null : Base64.getDecoder().decode(text);
    }

    private static String text(byte[] bytes) {
        return bytes == null ? "-" : Base64.getEncoder().encodeToString(bytes);
    }
}
