// Two MCP servers in one process, each by the SDK of its time, behind the SDK's own bearer check:
// /v1 by @modelcontextprotocol/sdk 1.x (sessions; revisions up to 2025-11-25), /v2 by @modelcontextprotocol/server (2026-07-28).
// Tokens are looked up at the authorization server (RFC 7662), by its client `rs`.
import crypto from 'node:crypto';
import { Readable } from 'node:stream';
import express from 'express';
import * as z from 'zod';
import { McpServer as McpServer1 } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { requireBearerAuth as requireBearerAuth1 } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
import { InvalidTokenError } from '@modelcontextprotocol/sdk/server/auth/errors.js';
import { getOAuthProtectedResourceMetadataUrl, mcpAuthMetadataRouter } from '@modelcontextprotocol/sdk/server/auth/router.js';
import { createMcpHandler, McpServer as McpServer2, OAuthError, OAuthErrorCode, requireBearerAuth as requireBearerAuth2 } from '@modelcontextprotocol/server';

const issuer = process.env.ISSUER;
const metadata = await (await fetch(`${issuer}/.well-known/oauth-authorization-server`)).json();
const counters = { accepted: 0, refused: 0, tokens: new Set() };

// The SDK's own checks of life, scope and audience run after this one.
const verifier = (invalid) => ({
  async verifyAccessToken(token) {
    const answer = await fetch(metadata.introspection_endpoint, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa('rs:rs-secret')}`, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ token }),
    });
    const found = await answer.json();
    if (!found.active) { counters.refused += 1; throw invalid('the access token is not active'); }
    counters.accepted += 1;
    counters.tokens.add(token);
    return { token, clientId: found.client_id, scopes: (found.scope ?? '').split(' '), expiresAt: found.exp, resource: new URL([found.aud].flat()[0]) };
  },
});
const echo = { description: 'Says it again', inputSchema: z.object({ text: z.string() }) };
const said = ({ text }) => ({ content: [{ type: 'text', text: `echo: ${text}` }] });

const app = express();
const http = app.listen(Number(process.env.MCP_PORT ?? 0), '127.0.0.1');
await new Promise((done) => http.once('listening', done));
const origin = `http://127.0.0.1:${http.address().port}`;

for (const version of ['v1', 'v2']) {
  app.use(mcpAuthMetadataRouter({ oauthMetadata: metadata, resourceServerUrl: new URL(`${origin}/${version}`), scopesSupported: ['api:read'] }));
}
const gate = (url, invalid) => ({
  verifier: verifier(invalid), requiredScopes: ['api:read'], expectedResource: url, resourceMetadataUrl: getOAuthProtectedResourceMetadataUrl(url),
});

// Sessions, each with a transport of its own, as the SDK's examples have them.
const sessions = new Map();
app.all('/v1', requireBearerAuth1(gate(new URL(`${origin}/v1`), (why) => new InvalidTokenError(why))), express.json(), async (req, res) => {
  let transport = sessions.get(req.headers['mcp-session-id']);
  if (!transport) {
    transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => crypto.randomUUID(),
      onsessioninitialized: (id) => sessions.set(id, transport),
    });
    const server = new McpServer1({ name: 'echo', version: '1.0.0' });
    server.registerTool('echo', { ...echo, inputSchema: echo.inputSchema.shape }, said);
    await server.connect(transport);
  }
  await transport.handleRequest(req, res, req.body);
});

const handler = createMcpHandler(() => {
  const server = new McpServer2({ name: 'echo', version: '2.0.0' });
  server.registerTool('echo', echo, said);
  return server;
}, { legacy: 'reject' });
const gate2 = requireBearerAuth2(gate(new URL(`${origin}/v2`), (why) => new OAuthError(OAuthErrorCode.InvalidToken, why)));
app.all('/v2', async (req, res) => {
  const body = ['GET', 'HEAD'].includes(req.method) ? undefined : Readable.toWeb(req);
  const request = new Request(`${origin}${req.originalUrl}`, { method: req.method, headers: req.headers, body, duplex: 'half' });
  const auth = await gate2(request);
  const answer = auth instanceof Response ? auth : await handler.fetch(request, { authInfo: auth });
  res.writeHead(answer.status, Object.fromEntries(answer.headers));
  if (answer.body) Readable.fromWeb(answer.body).pipe(res); else res.end();
});

app.get('/counters', (req, res) => res.json({ ...counters, tokens: counters.tokens.size }));
process.stdin.on('end', () => process.exit(0)).resume(); // a killed test leaves no server behind
console.log(`READY ${JSON.stringify({ origin })}`);
