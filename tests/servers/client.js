// The same as client.py on Node: by https.request() or, where a request has "fetch", by fetch(), whose hosts have the
// port with them.
'use strict';
const dns = require('node:dns');
const https = require('node:https');
const readline = require('node:readline');

const port = Number(process.argv[2]);
const agent = new https.Agent({ keepAlive: true, rejectUnauthorized: false });
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
process.removeAllListeners('warning');

dns.lookup = (host, options, callback) =>
    options.all ? callback(null, [{ address: '127.0.0.1', family: 4 }]) : callback(null, '127.0.0.1', 4);

function say(line) {
    console.log(JSON.stringify(line));
}

function byRequest(job) {
    return new Promise((resolve, reject) => {
        const headers = { Host: job.host, 'Content-Type': 'application/json', ...job.headers };
        const options = { host: '127.0.0.1', port, servername: job.host, path: job.path, method: 'POST', headers, agent };
        const request = https.request(options, (response) => {
            const parts = [];
            response.on('data', (part) => {
                parts.push(part);
                if (job.leave) say({});
            });
            response.on('end', () => resolve({ status: response.statusCode, text: Buffer.concat(parts).toString() }));
        });
        request.on('error', reject);
        request.end(JSON.stringify(job.body));
    });
}

async function byFetch(job) {
    const headers = { 'Content-Type': 'application/json', ...job.headers };
    const response = await fetch(`https://${job.host}:${port}${job.path}`, { method: 'POST', headers, body: JSON.stringify(job.body) });
    return { status: response.status, text: await response.text() };
}

// Of a stream the last event that has it.
function usageOf(text) {
    const objects = text.startsWith('{') ? [text] : text.split('\n').filter((line) => line.startsWith('data: {')).map((line) => line.slice(6));
    return objects.map((object) => JSON.parse(object).usage).filter(Boolean).at(-1) ?? {};
}

async function ask(job) {
    const start = process.hrtime.bigint();
    const { status, text } = await (job.fetch ? byFetch(job) : byRequest(job));
    const usage = usageOf(text);
    say({ status, prompt: usage.prompt_tokens ?? 0, output: usage.completion_tokens ?? 0, ns: Number(process.hrtime.bigint() - start) });
}

async function run() {
    say({});
    for await (const line of readline.createInterface({ input: process.stdin })) await ask(JSON.parse(line));
    process.exit(0);
}

run();
