// A chat server on Node's http: words for tokens, and its own account of them at /metrics, named as llama-server does.
// Given a certificate and its key, it encrypts.
'use strict';
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');

const account = { prompt: 0, output: 0 };

// A prompt has as many tokens as words.
function countWords(messages) {
    return messages.map((message) => message.content.split(/\s+/).filter(Boolean).length).reduce((a, b) => a + b, 0);
}

function chunk(model, delta, finish) {
    return { id: 'chatcmpl-1', object: 'chat.completion.chunk', model, choices: [{ index: 0, delta, finish_reason: finish }] };
}

function send(response, event) {
    return new Promise((resolve) => response.write(`data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`, resolve));
}

async function stream(response, request, usage, words) {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.flushHeaders();
    await send(response, chunk(request.model, { role: 'assistant', content: '' }, null));
    for (const word of words) {
        if (response.destroyed) return;
        await send(response, chunk(request.model, { content: word }, null));
    }
    await send(response, chunk(request.model, {}, 'length'));
    if (request.stream_options?.include_usage)
        await send(response, { object: 'chat.completion.chunk', model: request.model, choices: [], usage });
    await send(response, '[DONE]');
    response.end();
}

function fail(response, status, message) {
    response.writeHead(status, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify({ error: { code: status, message } }));
}

function chat(response, text) {
    let request;
    try {
        request = JSON.parse(text);
    } catch {
        return fail(response, 400, 'the request is not JSON');
    }
    // The answer repeats the prompt's last word.
    const last = request.messages.at(-1).content.trim().split(/\s+/).at(-1);
    const words = Array.from({ length: request.max_tokens }, () => ` ${last}`);
    const usage = { prompt_tokens: countWords(request.messages), completion_tokens: words.length };
    usage.total_tokens = usage.prompt_tokens + usage.completion_tokens;
    account.prompt += usage.prompt_tokens;
    account.output += usage.completion_tokens;
    if (request.stream) return stream(response, request, usage, words);
    response.writeHead(200, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify({
        id: 'chatcmpl-1', object: 'chat.completion', model: request.model,
        choices: [{ index: 0, message: { role: 'assistant', content: words.join('') }, finish_reason: 'length' }], usage,
    }));
}

function serve(request, response) {
    if (request.url === '/metrics') {
        response.end(`llamacpp:prompt_tokens_total ${account.prompt}\nllamacpp:prompt_tokens_cached_total 0\n` +
            `llamacpp:tokens_predicted_total ${account.output}\n`);
        return;
    }
    if (request.url !== '/v1/chat/completions') return fail(response, 404, 'no such route');
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', () => chat(response, Buffer.concat(parts).toString()));
}

const [cert, key] = process.argv.slice(2).map((path) => fs.readFileSync(path));
const server = cert ? https.createServer({ cert, key }, serve) : http.createServer(serve);

server.listen(0, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
