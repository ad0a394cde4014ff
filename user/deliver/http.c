#include "http.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "multi.h"
#include "secret.h"
#include "version.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

enum { WHY_SIZE = 512, CONNECT_MS = 10000, RETRY_AFTER_MAX_S = 1000000 };

// A post under way, or room for one. The handle stays: it remembers its connection.
struct exchange {
    struct http *http;
    CURL *easy;
    bool busy;
    struct http_post post;
    struct curl_slist *headers;
    struct text body; // of the answer
    char why[WHY_SIZE];
};

struct http {
    struct http_options options;
    struct multi multi;
    CURLU *url;
    char *token, *password; // secrets
    bool stale;             // they are to be read again
    struct exchange exchanges[HTTP_AT_ONCE];
};

static void list_free(struct curl_slist **list)
{
    // The token is in there.
    for (struct curl_slist *node = *list; node; node = node->next)
        explicit_bzero(node->data, strlen(node->data));
    curl_slist_free_all(*list);
    *list = NULL;
}

// --- Answers ---

static const char *status_advice(unsigned status)
{
    if (status >= 300 && status < 400)
        return ": redirects are not followed";
    switch (status) {
    case 401:
    case 403:
        return ": it does not accept the credentials";
    case 404:
    case 405:
        return ": its URL is not that of such a receiver";
    case 408:
    case 504:
        return ": it took too long";
    case 413:
        return ": the request is too large for it";
    case 429:
        return ": it asks for fewer requests";
    default:
        return status >= 500 ? ": it has a problem of its own" : "";
    }
}

static void explain(struct exchange *exchange, CURLcode code, unsigned status)
{
    if (code == CURLE_OK) {
        snprintf(exchange->why, WHY_SIZE, "it answers with status %u%s", status, status_advice(status));
        return;
    }
    if (exchange->why[0] == '\0')
        snprintf(exchange->why, WHY_SIZE, "%s", curl_easy_strerror(code));
    multi_make_printable(exchange->why);
}

static void finish(struct exchange *exchange, CURLcode code)
{
    long status = 0;
    curl_off_t retry_after = 0;
    curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(exchange->easy, CURLINFO_RETRY_AFTER, &retry_after);
    curl_multi_remove_handle(exchange->http->multi.handle, exchange->easy);
    // Perhaps there are new ones by now.
    exchange->http->stale |= status == 401 || status == 403;
    // A body beyond the limit was not read on purpose; the rest of the answer is good.
    if (code == CURLE_WRITE_ERROR && exchange->body.truncated)
        code = CURLE_OK;
    explain(exchange, code, (unsigned)status);
    // A date that has passed, as by a clock that is behind ours, is now.
    retry_after = retry_after < 0 ? 0 : retry_after > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : retry_after;

    char why[WHY_SIZE];
    strcpy(why, exchange->why);
    struct text body = exchange->body;
    struct http_post post = exchange->post;
    struct http_answer answer = {.status = code == CURLE_OK ? (unsigned)status : 0,
                                 .body = text_string(&body),
                                 .length = body.length,
                                 .retry_after = (unsigned)retry_after * 1000,
                                 .why = why};
    exchange->body = (struct text)TEXT_INIT(HTTP_ANSWER_MAX);
    list_free(&exchange->headers);
    exchange->busy = false;
    // It may post again, in the same place.
    post.done(&answer, post.context);
    text_free(&body);
}

static void on_done(CURL *easy, CURLcode code, void *context)
{
    struct exchange *exchange = NULL;
    if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, &exchange) == CURLE_OK)
        finish(exchange, code);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct exchange *exchange = context;
    text_add_bytes(&exchange->body, bytes, size * count);
    return exchange->body.truncated ? 0 : size * count;
}

// --- Secrets ---

static int read_secret(const struct config_output *output, const struct config_secret *secret,
                       const char *what, char **ret_text)
{
    char *text = NULL;
    int error = secret_read(secret, &text);
    if (error) {
        char place[256];
        secret_describe(secret, place, sizeof(place));
        log_error("output %s: cannot use the %s in %s: %s", output->name, what, place,
                  error == -EINVAL ? "it is not set, too long or has control characters" : strerror(-error));
        return error;
    }
    secret_free(ret_text);
    *ret_text = text;
    return 0;
}

static int read_secrets(struct http *http)
{
    const struct config_output *output = http->options.output;
    int error = read_secret(output, &output->token, "token", &http->token);
    return error ? error : read_secret(output, &output->password, "password", &http->password);
}

static bool set_credentials(const struct http *http, CURL *easy)
{
    const struct config_output *output = http->options.output;
    if (!output->user)
        return true;
    return !curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC) &&
           !curl_easy_setopt(easy, CURLOPT_USERNAME, output->user) &&
           !curl_easy_setopt(easy, CURLOPT_PASSWORD, http->password);
}

// --- Posting ---

static int list_add(struct curl_slist **list, const char *name, const char *value)
{
    _cleanup_secret_ char *line = NULL;
    if (asprintf(&line, "%s: %s", name, value) < 0) {
        line = NULL;
        return -ENOMEM;
    }
    struct curl_slist *more = curl_slist_append(*list, line);
    if (!more)
        return -ENOMEM;
    *list = more;
    return 0;
}

static int make_headers(struct http *http, const struct http_post *post, struct curl_slist **list)
{
    const struct http_options *options = &http->options;
    // Asking whether the body may come costs a round trip and some receivers do not answer.
    struct curl_slist *more = curl_slist_append(*list, "Expect:");
    int error = more ? 0 : -ENOMEM;
    *list = more;
    if (!error)
        error = list_add(list, "Content-Type", options->content_type);
    if (!error && http->token[0]) {
        _cleanup_secret_ char *value = NULL;
        const char *scheme = options->token_scheme ? options->token_scheme : "Bearer";
        if (asprintf(&value, "%s %s", scheme, http->token) < 0) {
            value = NULL;
            return -ENOMEM;
        }
        error = list_add(list, "Authorization", value);
    }
    if (!error && post->idempotency_key)
        error = list_add(list, "Idempotency-Key", post->idempotency_key);
    for (size_t i = 0; !error && i < options->output->headers.count; i++) {
        more = curl_slist_append(*list, options->output->headers.items[i]);
        error = more ? 0 : -ENOMEM;
        *list = more ? more : *list;
    }
    return error;
}

// How much of the interface's path the own one ends in already: all of it, or a beginning of at least two
// names. One alone may as well be where a proxy has put the receiver.
static size_t path_overlap(const char *own, size_t own_length, const char *path)
{
    size_t names = 0;
    for (size_t begin = own_length; begin-- > 0;) {
        size_t length = own_length - begin;
        if (own[begin] != '/')
            continue;
        names++;
        if (strncmp(own + begin, path, length) == 0 &&
            (path[length] == '\0' || (path[length] == '/' && names >= 2)))
            return length;
    }
    return 0;
}

// The URL of the configuration with the path and the query of the interface.
static CURLU *make_url(struct http *http, const struct http_post *post)
{
    const char *path = post->path ? post->path : http->options.path;
    CURLU *url = curl_url_dup(http->url);
    char *own = NULL;
    bool good = url && curl_url_get(url, CURLUPART_PATH, &own, 0) == CURLUE_OK;
    if (good && path && path[0]) {
        _cleanup_free_ char *whole = NULL;
        size_t length = strlen(own);
        while (length && own[length - 1] == '/')
            length--;
        const char *rest = path + path_overlap(own, length, path);
        good = asprintf(&whole, "%.*s%s", (int)length, own, rest) >= 0 &&
               curl_url_set(url, CURLUPART_PATH, whole, 0) == CURLUE_OK;
    }
    if (good && http->options.query)
        good = curl_url_set(url, CURLUPART_QUERY, http->options.query, CURLU_APPENDQUERY) == CURLUE_OK;
    curl_free(own);
    if (!good) {
        curl_url_cleanup(url);
        return NULL;
    }
    return url;
}

static struct exchange *free_exchange(struct http *http)
{
    for (size_t i = 0; i < HTTP_AT_ONCE; i++)
        if (!http->exchanges[i].busy)
            return &http->exchanges[i];
    return NULL;
}

int http_post(struct http *http, const struct http_post *post)
{
    struct exchange *exchange = free_exchange(http);
    if (!exchange)
        return -EBUSY;
    // What cannot be read now is said there, and the old ones are tried once more.
    if (http->stale)
        read_secrets(http);
    http->stale = false;
    CURLU *url = make_url(http, post);
    if (!url)
        return -ENOMEM;
    char *text = NULL;
    curl_url_get(url, CURLUPART_URL, &text, 0);
    int error = text ? make_headers(http, post, &exchange->headers) : -ENOMEM;
    CURL *easy = exchange->easy;
    if (!error && (!set_credentials(http, easy) || curl_easy_setopt(easy, CURLOPT_URL, text) ||
                   curl_easy_setopt(easy, CURLOPT_HTTPHEADER, exchange->headers) ||
                   curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)post->length) ||
                   curl_easy_setopt(easy, CURLOPT_POSTFIELDS, post->body)))
        error = -ENOMEM;
    curl_free(text);
    curl_url_cleanup(url);
    exchange->why[0] = '\0';
    exchange->post = *post;
    if (!error && curl_multi_add_handle(http->multi.handle, easy))
        error = -ENOMEM;
    if (error)
        list_free(&exchange->headers);
    exchange->busy = !error;
    return error;
}

// --- Opening ---

static bool is_readable(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    return fd >= 0;
}

static int check_files(const struct config_output *output)
{
    const char *const files[] = {output->tls.ca_file, output->tls.cert_file, output->tls.key_file};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        if (files[i] && !is_readable(files[i])) {
            int error = -errno;
            log_error("output %s: cannot read %s: %s", output->name, files[i], strerror(-error));
            return error;
        }
    }
    return 0;
}

static int parse_url(struct http *http)
{
    const struct config_output *output = http->options.output;
    char *scheme = NULL;
    http->url = curl_url();
    if (!http->url)
        return -ENOMEM;
    CURLUcode code =
        curl_url_set(http->url, CURLUPART_URL, output->url ? output->url : "", CURLU_DISALLOW_USER);
    if (!code)
        code = curl_url_get(http->url, CURLUPART_SCHEME, &scheme, 0);
    bool fits = !code && (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    curl_free(scheme);
    if (fits)
        return 0;
    // The URL itself is not shown: what is wrong with it may be that a password is in it.
    log_error("output %s: its URL %s", output->name,
              code == CURLUE_USER_NOT_ALLOWED
                  ? "must not hold a user or a password: they have options of their own"
                  : "is none of http:// or https://");
    return -EINVAL;
}

static bool exchange_init(struct http *http, struct exchange *exchange)
{
    const struct config_output *output = http->options.output;
    long timeout = output->timeout;
    exchange->http = http;
    exchange->body = (struct text)TEXT_INIT(HTTP_ANSWER_MAX);
    CURL *easy = exchange->easy = curl_easy_init();
    return easy && !curl_easy_setopt(easy, CURLOPT_PRIVATE, exchange) &&
           !curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) && !curl_easy_setopt(easy, CURLOPT_POST, 1L) &&
           !curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") &&
           !curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) &&
           !curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout) &&
           !curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, timeout < CONNECT_MS ? timeout : CONNECT_MS) &&
           !curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L) &&
           // A name that is being asked for when the process ends is not waited for.
           !curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) &&
           !curl_easy_setopt(easy, CURLOPT_USERAGENT, "inferscope/" INFERSCOPE_VERSION) &&
           !curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) &&
           !curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange) &&
           !curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->why) && multi_set_tls(easy, &output->tls);
}

static int init_all(struct http *http)
{
    bool good = multi_init(&http->multi, http->options.loop, on_done, NULL) == 0 &&
                !curl_multi_setopt(http->multi.handle, CURLMOPT_MAXCONNECTS, (long)HTTP_AT_ONCE);
    for (size_t i = 0; good && i < HTTP_AT_ONCE; i++)
        good = exchange_init(http, &http->exchanges[i]);
    return good ? 0 : -ENOMEM;
}

int http_open(const struct http_options *options, struct http **ret_http)
{
    struct http *http = calloc(1, sizeof(*http));
    if (!http)
        return -ENOMEM;
    http->options = *options;
    int error = parse_url(http);
    if (!error)
        error = check_files(options->output);
    if (!error)
        error = read_secrets(http);
    if (!error)
        error = init_all(http);
    if (error) {
        http_close(&http);
        return error;
    }
    *ret_http = http;
    return 0;
}

void http_close(struct http **http)
{
    struct http *closed = *http;
    if (!closed)
        return;
    for (size_t i = 0; i < HTTP_AT_ONCE; i++) {
        struct exchange *exchange = &closed->exchanges[i];
        if (exchange->busy)
            curl_multi_remove_handle(closed->multi.handle, exchange->easy);
        curl_easy_cleanup(exchange->easy);
        list_free(&exchange->headers);
        text_free(&exchange->body);
    }
    multi_close(&closed->multi);
    curl_url_cleanup(closed->url);
    secret_free(&closed->token);
    secret_free(&closed->password);
    free(closed);
    *http = NULL;
}

void http_reopen(struct http *http)
{
    http->stale = true;
}
