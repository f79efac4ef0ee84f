// A real MCP client: MCP_SDK (v1 or v2), MCP_URL, MCP_KEY. Connects once, calls the tool `echo` with each line it reads,
// and prints what came of it as a JSON line. It knows nothing of OAuth.
import readline from 'node:readline';

const v1 = process.env.MCP_SDK === 'v1';
const { Client } = await import(v1 ? '@modelcontextprotocol/sdk/client/index.js' : '@modelcontextprotocol/client');
const { StreamableHTTPClientTransport } = await import(v1 ? '@modelcontextprotocol/sdk/client/streamableHttp.js' : '@modelcontextprotocol/client');

const client = new Client({ name: 'agent', version: '1.0.0' }, v1 ? {} : { versionNegotiation: { mode: { pin: '2026-07-28' } } });
const transport = new StreamableHTTPClientTransport(new URL(process.env.MCP_URL), { requestInit: { headers: { authorization: `Bearer ${process.env.MCP_KEY}` } } });
await client.connect(transport);
const { tools } = await client.listTools();
console.log(JSON.stringify({ connected: tools.map((tool) => tool.name), protocol: transport.protocolVersion ?? client.getNegotiatedProtocolVersion?.() }));
for await (const text of readline.createInterface({ input: process.stdin })) {
  try {
    const { content } = await client.callTool({ name: 'echo', arguments: { text } });
    console.log(JSON.stringify({ said: content[0].text }));
  } catch (error) {
    console.log(JSON.stringify({ failed: String(error) }));
  }
}
await client.close();
