#include "api.h"

#include "base/cleanup.h"
#include "bpf/lib/http.h"

#include <errno.h>
#include <string.h>

static const struct api_route built_in[] = {
    // OpenAI's paths, which vLLM, SGLang, llama-server, TGI, Ollama and most others serve
    {"/v1/chat/completions", "chat"},
    {"/v1/completions", "text_completion"},
    {"/v1/embeddings", "embeddings"},
    {"/v1/responses", "chat"},
    {"/v1/messages", "chat"}, // Anthropic's
    {"/openai/deployments/*/chat/completions", "chat"},
    {"/openai/deployments/*/completions", "text_completion"},
    {"/openai/deployments/*/embeddings", "embeddings"},
    {"/v1/rerank", "rerank"},
    {"/rerank", "rerank"},
    // llama-server
    {"/completion", "text_completion"},
    {"/completions", "text_completion"},
    {"/chat/completions", "chat"},
    {"/embedding", "embeddings"},
    {"/embeddings", "embeddings"},
    {"/infill", "text_completion"},
    // Ollama
    {"/api/generate", "text_completion"},
    {"/api/chat", "chat"},
    {"/api/embed", "embeddings"},
    {"/api/embeddings", "embeddings"},
    // TGI, SGLang and vLLM's own
    {"/generate", "text_completion"},
    {"/generate_stream", "text_completion"},
    // Triton and KServe, TorchServe, SageMaker
    {"/v2/models/*/infer", "inference"},
    {"/v2/models/*/generate", "text_completion"},
    {"/v2/models/*/generate_stream", "text_completion"},
    {"/predictions/*", "inference"},
    {"/invocations", "inference"},
    // Hosted APIs as their clients call them; these have a prefix such as /openai, /api or /inference/v1
    {"*/chat/completions", "chat"},
    {"*/v1/completions", "text_completion"},
    {"*/beta/completions", "text_completion"}, // DeepSeek
    {"*/fim/completions", "text_completion"},  // Mistral
    {"*/agents/completions", "chat"},
    {"*/v1/embeddings", "embeddings"},
    {"*/v1/responses", "chat"},
    {"*/openai/responses", "chat"}, // Azure
    {"*/v1/messages", "chat"},
    {"*/v2/chat", "chat"}, // Cohere
    {"*/v1/chat", "chat"},
    {"*/v2/embed", "embeddings"},
    {"*/v1/embed", "embeddings"},
    {"*/v2/rerank", "rerank"},
    {"*/v1/rerank", "rerank"},
    // Google's Gemini and Vertex AI
    {"*:generateContent", "generate_content"},
    {"*:streamGenerateContent", "generate_content"},
    {"*:embedContent", "embeddings"},
    {"*:batchEmbedContents", "embeddings"},
    {"*:rawPredict", "chat"},
    {"*:streamRawPredict", "chat"},
    {"*:predict", "inference"},
    // Bedrock
    {"/model/*/converse", "chat"},
    {"/model/*/converse-stream", "chat"},
    {"/model/*/invoke", "inference"},
    {"/model/*/invoke-with-response-stream", "inference"},
    // No inference
    {"/", NULL},
    {"/health", NULL},
    {"/healthz", NULL},
    {"/livez", NULL},
    {"/ready", NULL},
    {"/readyz", NULL},
    {"/ping", NULL},
    {"/metrics", NULL},
    {"/version", NULL},
    {"/info", NULL},
    {"/models", NULL},
    {"/v1/models", NULL},
    {"/v1/models/*", NULL},
    {"/v2/models/*", NULL},
    {"/v2/models/*/ready", NULL},
    {"/v2/health/ready", NULL},
    {"/v2/health/live", NULL},
    {"/api/tags", NULL},
    {"/api/ps", NULL},
    {"/api/show", NULL},
    {"/api/pull", NULL},
    {"/api/version", NULL},
    {"/tokenize", NULL},
    {"/detokenize", NULL},
    {"/apply-template", NULL},
    {"/props", NULL},
    {"/slots", NULL},
    {"/lora-adapters", NULL},
    {"/v1/load_lora_adapter", NULL},
    {"/v1/unload_lora_adapter", NULL},
    {"/docs", NULL},
    {"/openapi.json", NULL},
};

static struct {
    struct api_route route;
    char pattern[API_ROUTE_SIZE];
} added[API_ROUTES_MAX - ARRAY_SIZE(built_in)];
static size_t added_count;

size_t api_route_count(void)
{
    return ARRAY_SIZE(built_in) + added_count;
}

const struct api_route *api_route_at(size_t number)
{
    if (number == 0 || number > api_route_count())
        return NULL;
    return number <= ARRAY_SIZE(built_in) ? &built_in[number - 1]
                                          : &added[number - 1 - ARRAY_SIZE(built_in)].route;
}

// A * is a whole segment, the second or the third, and there is one at most.
bool api_route_valid(const char *pattern, size_t length)
{
    size_t segment = 0, stars = 0;
    if (length == 0 || length >= API_ROUTE_SIZE || pattern[0] != '/')
        return false;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)pattern[i];
        segment += byte == '/';
        if (byte <= ' ' || byte == '?' || byte == '#' || byte >= 0x7f)
            return false;
        if (byte != '*')
            continue;
        bool whole = pattern[i - 1] == '/' && (i + 1 == length || pattern[i + 1] == '/');
        if (++stars > 1 || !whole || (segment != 2 && segment != 3))
            return false;
    }
    return true;
}

static const char *operation_of(const char *pattern)
{
    for (size_t i = 0; i < ARRAY_SIZE(built_in); i++) {
        size_t length = strlen(pattern), end = strlen(built_in[i].pattern);
        if (built_in[i].operation && length >= end &&
            strcmp(pattern + length - end, built_in[i].pattern) == 0)
            return built_in[i].operation;
    }
    return "inference";
}

int api_route_add(const char *pattern, size_t length)
{
    if (!api_route_valid(pattern, length))
        return -EINVAL;
    if (added_count == ARRAY_SIZE(added))
        return -ENOSPC;
    char *copy = added[added_count].pattern;
    memcpy(copy, pattern, length);
    copy[length] = '\0';
    added[added_count].route = (struct api_route){copy, operation_of(copy)};
    added_count++;
    return 0;
}

uint64_t api_route_hash(const struct api_route *route)
{
    bool tail = route->pattern[0] == '*';
    uint64_t hash = tail ? HTTP_HASH_TAIL : HTTP_HASH_START;
    for (const char *c = route->pattern + tail; *c; c++)
        hash = http_hash(hash, (__u8)*c);
    return hash;
}

// The kernel finds the name behind such a segment, or before a colon (bpf/lib/http_head.h).
static bool names_model(const char *pattern)
{
    return strstr(pattern, "/models/*") || strstr(pattern, "/model/*") || strstr(pattern, "/deployments/*") ||
           strstr(pattern, "/predictions/*") || strncmp(pattern, "*:", 2) == 0;
}

uint16_t api_route_value(size_t number)
{
    const struct api_route *route = api_route_at(number);
    if (!route || !route->operation)
        return (uint16_t)(route ? number : 0);
    return (uint16_t)(number | WIRE_API_ROUTE_INFERENCE |
                      (names_model(route->pattern) ? WIRE_API_ROUTE_NAMES : 0));
}

void api_route_starts(__u64 *bits)
{
    for (size_t number = 1; number <= api_route_count(); number++) {
        const struct api_route *route = api_route_at(number);
        if (!route->operation || route->pattern[0] == '*')
            continue;
        // One byte after the slash at least: what comes behind a path is a space or a question mark.
        static const unsigned char behind[] = " ?";
        const unsigned char *start = (const unsigned char *)route->pattern + 1;
        for (size_t i = 0; i < 2; i++) {
            unsigned bit = start[0] | (unsigned)(start[0] && start[1] ? start[1] : behind[i]) << 8;
            bits[bit >> 6] |= UINT64_C(1) << (bit & 63);
        }
    }
}
