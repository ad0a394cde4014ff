#include "api.h"

#include "base/cleanup.h"

#include <string.h>

// Who answers at a host, by values of OpenTelemetry's gen_ai.provider.name where it has one (semantic
// conventions 1.37), else by names of the same kind. A * stands for one byte or more; there is one at most.
static const struct provider {
    const char *host;
    const char *name;
} providers[] = {
    {"api.openai.com", "openai"},
    {"*.api.openai.com", "openai"}, // us., eu. and so on
    {"*.openai.azure.com", "azure.ai.openai"},
    {"*.openai.azure.us", "azure.ai.openai"},
    {"*.cognitiveservices.azure.com", "azure.ai.openai"},
    {"*.services.ai.azure.com", "azure.ai.inference"},
    {"*.models.ai.azure.com", "azure.ai.inference"},
    {"*.inference.ml.azure.com", "azure.ai.inference"},
    {"api.anthropic.com", "anthropic"},
    {"generativelanguage.googleapis.com", "gcp.gemini"},
    {"aiplatform.googleapis.com", "gcp.vertex_ai"},
    {"*-aiplatform.googleapis.com", "gcp.vertex_ai"},
    {"bedrock-runtime*.amazonaws.com", "aws.bedrock"},
    {"bedrock-runtime*.amazonaws.com.cn", "aws.bedrock"},
    {"bedrock-runtime*.api.aws", "aws.bedrock"},
    {"*.vpce.amazonaws.com",
     "aws.bedrock"}, // some service's private endpoint; with such a route it is this one
    {"api.mistral.ai", "mistral_ai"},
    {"codestral.mistral.ai", "mistral_ai"},
    {"api.cohere.com", "cohere"},
    {"api.cohere.ai", "cohere"},
    {"api.groq.com", "groq"},
    {"api.deepseek.com", "deepseek"},
    {"api.x.ai", "x_ai"},
    {"*.api.x.ai", "x_ai"},
    {"api.perplexity.ai", "perplexity"},
    {"*.ml.cloud.ibm.com", "ibm.watsonx.ai"},
    {"api.together.xyz", "together_ai"},
    {"api.together.ai", "together_ai"},
    {"openrouter.ai", "openrouter"},
    {"api.fireworks.ai", "fireworks_ai"},
    {"router.huggingface.co", "hugging_face"},
    {"api-inference.huggingface.co", "hugging_face"},
    {"*.endpoints.huggingface.cloud", "hugging_face"},
    {"integrate.api.nvidia.com", "nvidia"},
    {"api.cerebras.ai", "cerebras"},
    {"api.sambanova.ai", "sambanova"},
    {"api.deepinfra.com", "deepinfra"},
    {"api.moonshot.ai", "moonshot_ai"},
    {"api.moonshot.cn", "moonshot_ai"},
    {"dashscope.aliyuncs.com", "alibaba"},
    {"dashscope-intl.aliyuncs.com", "alibaba"},
    {"models.github.ai", "github"},
    {"models.inference.ai.azure.com", "github"},
    {"api.githubcopilot.com", "github"},
    {"*.githubcopilot.com", "github"},
    {"gateway.ai.cloudflare.com", "cloudflare"},
    {"ai-gateway.vercel.sh", "vercel"},
    {"api.voyageai.com", "voyage_ai"},
    {"api.jina.ai", "jina_ai"},
    {"ollama.com", "ollama"},
};

static bool host_fits(const char *pattern, const char *host, size_t length)
{
    const char *star = strchr(pattern, '*');
    size_t size = strlen(pattern);
    if (!star)
        return length == size && memcmp(host, pattern, size) == 0;
    size_t before = (size_t)(star - pattern), behind = size - before - 1;
    return length >= size && memcmp(host, pattern, before) == 0 &&
           memcmp(host + length - behind, star + 1, behind) == 0;
}

const char *api_provider_of(const char *host, size_t length)
{
    for (size_t i = 0; i < ARRAY_SIZE(providers); i++)
        if (host_fits(providers[i].host, host, length))
            return providers[i].name;
    return API_PROVIDER_OTHER;
}

const char *api_host(const struct wire_api *record, size_t *ret_length)
{
    const struct wire_api_call *call = (const struct wire_api_call *)record;
    *ret_length = 0;
    if (record->header.type != WIRE_API_CALL)
        return "";
    size_t length = strnlen(call->host, WIRE_API_HOST_MAX);
    // The dot of an absolute name makes no other host of it.
    if (length > 1 && call->host[length - 1] == '.')
        length--;
    *ret_length = length;
    return call->host;
}

uint16_t api_host_port(const struct wire_api *record)
{
    return record->header.type == WIRE_API_CALL ? ((const struct wire_api_call *)record)->host_port : 0;
}
