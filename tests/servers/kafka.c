// A Kafka cluster for the tests, librdkafka's own stand-in, which can be told to fail: kafka-broker NUMBER.
// Writes where it listens as its first line; then each line of standard input is a command, answered by one
// line.
//
//   topic NAME PARTITIONS    there is a topic
//   no-topic NAME            there is none of that name, and it is not made by whoever asks
//   errors API CODE…         the next requests of that kind are answered so (0: well)
//   delay MS                 so late is everything answered
//   down, up                 all brokers
//   taken NAME               what is in the topic, as JSON
#include <jansson.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 64 };

static rd_kafka_mock_cluster_t *cluster;
static int brokers;

static rd_kafka_t *client(rd_kafka_type_t type, const char *const *settings)
{
    char why[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (; *settings; settings += 2)
        if (rd_kafka_conf_set(conf, settings[0], settings[1], why, sizeof(why)) != RD_KAFKA_CONF_OK)
            abort();
    rd_kafka_t *made = rd_kafka_new(type, conf, why, sizeof(why));
    if (!made)
        abort();
    return made;
}

static json_t *message_json(const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers;
    const void *uuid = "";
    size_t size = 0;
    if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_header_get_last(headers, "uuid", &uuid, &size);
    return json_pack("{s:i, s:I, s:s%, s:s%, s:s%}", "partition", message->partition, "offset",
                     (json_int_t)message->offset, "key", message->key ? message->key : "", message->key_len,
                     "uuid", uuid, size, "value", message->payload, message->len);
}

static rd_kafka_topic_partition_list_t *partitions_of(rd_kafka_t *consumer, const char *topic)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(consumer, topic, NULL);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    if (rd_kafka_metadata(consumer, 0, handle, &metadata, 10000) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        for (int i = 0; i < metadata->topics[0].partition_cnt; i++)
            rd_kafka_topic_partition_list_add(list, topic, metadata->topics[0].partitions[i].id)->offset =
                RD_KAFKA_OFFSET_BEGINNING;
        rd_kafka_metadata_destroy(metadata);
    }
    rd_kafka_topic_destroy(handle);
    return list;
}

static void taken(const char *topic)
{
    const char *settings[] = {"bootstrap.servers",
                              rd_kafka_mock_cluster_bootstraps(cluster),
                              "group.id",
                              "tests",
                              "enable.partition.eof",
                              "true",
                              "fetch.wait.max.ms",
                              "10",
                              NULL};
    rd_kafka_t *consumer = client(RD_KAFKA_CONSUMER, settings);
    rd_kafka_topic_partition_list_t *list = partitions_of(consumer, topic);
    int left = list->cnt;
    json_t *messages = json_array();
    rd_kafka_assign(consumer, list);
    while (left > 0) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 1000);
        if (!message)
            continue;
        left -= message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        if (!message->err)
            json_array_append_new(messages, message_json(message));
        rd_kafka_message_destroy(message);
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(consumer);
    json_dumpf(messages, stdout, JSON_COMPACT);
    json_decref(messages);
}

static void obey(char **words, int count)
{
    rd_kafka_resp_err_t errors[WORDS_MAX];
    const char *verb = words[0];
    if (strcmp(verb, "topic") == 0)
        rd_kafka_mock_topic_create(cluster, words[1], atoi(words[2]), 1);
    else if (strcmp(verb, "no-topic") == 0)
        rd_kafka_mock_topic_set_error(cluster, words[1], RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    for (int i = 2; i < count; i++)
        errors[i - 2] = atoi(words[i]);
    if (strcmp(verb, "errors") == 0)
        rd_kafka_mock_push_request_errors_array(cluster, (int16_t)atoi(words[1]), (size_t)count - 2, errors);
    for (int id = 1; id <= brokers; id++) {
        if (strcmp(verb, "delay") == 0)
            rd_kafka_mock_broker_set_rtt(cluster, id, atoi(words[1]));
        else if (strcmp(verb, "down") == 0)
            rd_kafka_mock_broker_set_down(cluster, id);
        else if (strcmp(verb, "up") == 0)
            rd_kafka_mock_broker_set_up(cluster, id);
    }
    if (strcmp(verb, "taken") == 0)
        taken(words[1]);
}

int main(int argc, char **argv)
{
    char line[4096];
    brokers = argc > 1 ? atoi(argv[1]) : 1;
    // It needs a handle to live in.
    const char *quiet[] = {"log_level", "0", NULL};
    rd_kafka_t *home = client(RD_KAFKA_PRODUCER, quiet);
    cluster = rd_kafka_mock_cluster_new(home, brokers);
    if (!cluster)
        abort();
    puts(rd_kafka_mock_cluster_bootstraps(cluster));
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin)) {
        char *words[WORDS_MAX] = {}, *rest = NULL;
        int count = 0;
        for (char *word = strtok_r(line, " \n", &rest); word && count < WORDS_MAX - 1;
             word = strtok_r(NULL, " \n", &rest))
            words[count++] = word;
        if (count)
            obey(words, count);
        puts("");
        fflush(stdout);
    }
    return 0;
}
