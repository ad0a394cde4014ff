#include "kubelet.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "multi.h"
#include "secret.h"
#include "version.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum {
    ANSWER_MAX = 16 * 1024 * 1024,
    CONNECT_MS = 5000,
    TIMEOUT_MS = 20000,
    PAUSE_MS = 1000, // between two times, however much is missing
};

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct text *body = context;
    text_add_bytes(body, bytes, size * count);
    return body->truncated ? 0 : size * count;
}

static void cleanup_easy(CURL **easy)
{
    curl_easy_cleanup(*easy);
}

static void cleanup_list(struct curl_slist **list)
{
    curl_slist_free_all(*list);
}

// Read each time, because the kubelet puts another in its place every hour or so.
static struct curl_slist *make_headers(const struct config_kubelet *config, char *ret_why, size_t why_size)
{
    const struct config_secret secret = {.file = config->token_file};
    _cleanup_secret_ char *token = NULL, *line = NULL;
    int error = secret_read(&secret, &token);
    if (!error && asprintf(&line, "Authorization: Bearer %s", token) < 0) {
        line = NULL;
        error = -ENOMEM;
    }
    if (!error && token[0])
        return curl_slist_append(NULL, line);
    snprintf(ret_why, why_size, "cannot use the token in %s: %s", config->token_file,
             !error || error == -EINVAL ? "it is empty, too long or has control characters"
                                        : strerror(-error));
    return NULL;
}

// The configuration's URL, with the path that is meant where it has none.
static char *make_url(const char *base)
{
    size_t length = strlen(base);
    while (length > 0 && base[length - 1] == '/')
        length--;
    const char *host = strstr(base, "://");
    bool has_path = host && memchr(host + 3, '/', length - (size_t)(host + 3 - base));
    char *url = NULL;
    return asprintf(&url, "%.*s%s", (int)length, base, has_path ? "" : "/pods") < 0 ? NULL : url;
}

static enum pods_result result_of(CURLcode code, bool too_large)
{
    if (too_large)
        return PODS_TOO_LARGE;
    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_ISSUER_ERROR:
        return PODS_UNTRUSTED;
    case CURLE_SSL_CACERT_BADFILE:
        return PODS_NO_TOKEN;
    default:
        return PODS_UNREACHABLE;
    }
}

enum pods_result kubelet_ask(const struct config_kubelet *config, struct text *ret_list,
                             unsigned *ret_left_out, char *ret_why, size_t why_size)
{
    const struct config_tls tls = {.ca_file = config->ca_file, .verify = true};
    char why[CURL_ERROR_SIZE] = "";
    _cleanup_(cleanup_list) struct curl_slist *headers = make_headers(config, ret_why, why_size);
    if (!headers)
        return PODS_NO_TOKEN;
    _cleanup_free_ char *url = make_url(config->url);
    _cleanup_text_ struct text body = TEXT_INIT(ANSWER_MAX);
    _cleanup_(cleanup_easy) CURL *easy = curl_easy_init();
    bool ready = easy && url && !curl_easy_setopt(easy, CURLOPT_URL, url) &&
                 !curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https") &&
                 !curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) &&
                 !curl_easy_setopt(easy, CURLOPT_PROXY, "") &&
                 !curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) &&
                 !curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS) &&
                 !curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS) &&
                 !curl_easy_setopt(easy, CURLOPT_USERAGENT, "inferscope/" INFERSCOPE_VERSION) &&
                 !curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers) &&
                 !curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) &&
                 !curl_easy_setopt(easy, CURLOPT_WRITEDATA, &body) &&
                 !curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, why) && multi_set_tls(easy, &tls);
    CURLcode code = ready ? curl_easy_perform(easy) : CURLE_OUT_OF_MEMORY;
    long status = 0;
    if (code) {
        multi_make_printable(why);
        snprintf(ret_why, why_size, "%s",
                 body.truncated ? "its answer is larger than 16 MiB"
                 : why[0]       ? why
                                : curl_easy_strerror(code));
        return result_of(code, body.truncated);
    }
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) {
        snprintf(ret_why, why_size, "it answers with status %ld%s", status,
                 status == 401 || status == 403
                     ? ": the service account may not get nodes/proxy or nodes/pods"
                     : "");
        return PODS_REFUSED;
    }
    if (kubelet_list_read(text_string(&body), body.length, ret_list, ret_left_out))
        return PODS_LISTED;
    snprintf(ret_why, why_size, "its answer is no list of pods");
    return PODS_MALFORMED;
}

// --- The process ---

static int write_all(int fd, const void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t count = write(fd, (const char *)data + done, size - done);
        if (count < 0 && errno != EINTR)
            return -errno;
        done += count > 0 ? (size_t)count : 0;
    }
    return 0;
}

static int write_frame(int fd, enum pods_result result, const struct text *list, unsigned left_out)
{
    struct pods_frame frame = {.magic = PODS_MAGIC,
                               .size = result == PODS_LISTED ? (uint32_t)list->length : 0,
                               .result = (uint32_t)result,
                               .left_out = left_out};
    int error = write_all(fd, &frame, sizeof(frame));
    return error || frame.size == 0 ? error : write_all(fd, list->data, frame.size);
}

// Until it is time, or somebody misses a pod.
static void wait_for_next(unsigned interval_s, int news_fd)
{
    char bytes[64];
    poll(NULL, 0, PAUSE_MS);
    struct pollfd news = {.fd = news_fd, .events = POLLIN};
    if (poll(&news, 1, (int)(interval_s * 1000 - PAUSE_MS)) > 0 && read(news_fd, bytes, sizeof(bytes)) < 0)
        return;
}

int kubelet_run(const struct config_kubelet *config, int frames_fd, int news_fd)
{
    enum pods_result last = PODS_LISTED;
    for (;;) {
        _cleanup_text_ struct text list = TEXT_INIT(PODS_FRAME_MAX);
        char why[512] = "";
        unsigned left_out = 0;
        enum pods_result result = kubelet_ask(config, &list, &left_out, why, sizeof(why));
        // A lasting trouble is told once.
        if (result != last && result != PODS_LISTED)
            log_warning("the kubelet %s does not tell its pods: %s", config->url, why);
        else if (result != last)
            log_info("the kubelet %s tells its pods", config->url);
        last = result;
        int error = write_frame(frames_fd, result, &list, left_out);
        if (error)
            return error == -EPIPE ? 0 : error;
        wait_for_next(config->interval_s, news_fd);
    }
}
