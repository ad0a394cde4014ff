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
    uint64_t hash = HTTP_HASH_START;
    for (const char *c = route->pattern; *c; c++)
        hash = http_hash(hash, (__u8)*c);
    return hash;
}
