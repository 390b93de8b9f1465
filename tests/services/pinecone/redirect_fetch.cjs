// Loaded into Pinecone's MCP server with NODE_OPTIONS. The server hands its SDK a configuration without a controller
// host, so PINECONE_CONTROLLER_HOST is never read: requests to the public control plane are sent to the fake instead.
// The index's own host comes from there, and needs no redirection.
const elsewhere = process.env.FAKE_PINECONE_URL;
const fetched = globalThis.fetch;
globalThis.fetch = (url, init) => fetched(String(url).replace(/^https:\/\/api\.pinecone\.io(?=\/)/, elsewhere), init);
