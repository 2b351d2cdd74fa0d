// Calls of the server. The key travels in a header, never in an address.

const KEY = "ragwright.key";

/** What the server refused, in its words. */
export class Refusal extends Error {
  constructor(message, requestId = null) {
    super(message);
    this.requestId = requestId;
  }
}

/** Asks a person for a key; resolves to null when there is none. */
let askForKey = /** @type {(why: string) => Promise<string?>} */ (async () => null);
let asking = null; // one question, however many calls wait for its answer

export function whenKeyIsWanted(ask) {
  askForKey = ask;
}

function headers(more = {}) {
  const key = sessionStorage.getItem(KEY);
  return { ...(key ? { Authorization: `Bearer ${key}` } : {}), ...more };
}

/** Have a key entered that the server wants; whether there is another one now. */
async function keyGiven(refusal) {
  const tried = sessionStorage.getItem(KEY);
  asking ??= askForKey(tried ? refusal.message : "").finally(() => (asking = null));
  const key = await asking;
  if (key) sessionStorage.setItem(KEY, key);
  return Boolean(key);
}

/**
 * A call that was answered well. `body` is sent as JSON; `form` is sent as it is, and `told` is called with how
 * much of it has been sent, 0 to 1.
 *
 * @param {string} path
 * @param {{method?: string, body?: unknown, form?: FormData, told?: Function, signal?: AbortSignal}} options
 * @throws {Refusal} The server refused, or did not answer.
 */
export async function call(path, options = {}) {
  for (;;) {
    const response = await (options.form ? sent(path, options) : reach(path, options));
    if (response.ok) return response;
    const refusal = await refusalOf(response);
    if (response.status !== 401 || !(await keyGiven(refusal))) throw refusal;
  }
}

/** What a call answered, from JSON. */
export const json = async (path, options) => (await call(path, options)).json();

async function reach(path, { method = "GET", body = undefined, signal = undefined }) {
  const more = body && { "Content-Type": "application/json" };
  const asked = { method, body: body && JSON.stringify(body), signal, headers: headers(more) };
  try {
    return await fetch(path, { ...asked, cache: "no-store", credentials: "omit", redirect: "error" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refusal("The server does not answer. Look whether it runs, then try again.");
  }
}

/** `fetch` does not tell how far an upload is. */
function sent(path, { form = undefined, told = undefined }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => event.lengthComputable && told(event.loaded / event.total);
    request.onload = () => resolve(new Response(request.response, { status: request.status }));
    request.onerror = () => reject(new Refusal("The file did not reach the server."));
    request.send(form);
  });
}

async function refusalOf(response) {
  let message = `The server answered with status ${response.status}.`;
  try {
    message = String((await response.json()).error.message);
  } catch {
    // Something before the server answered; its words are of no use here.
  }
  return new Refusal(message, response.headers.get("x-request-id"));
}

/** The events of a stream, each from JSON, until it says that it is done; a Refusal where it breaks off. */
export async function* events(response) {
  const requestId = response.headers.get("x-request-id");
  for await (const data of dataLines(response)) {
    if (data === "[DONE]") return;
    const event = JSON.parse(data);
    if (event.error) throw new Refusal(event.error.message, requestId);
    yield event;
  }
  throw new Refusal("The connection broke off before the answer was complete.", requestId);
}

async function* dataLines(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) if (line.startsWith("data:")) yield line.slice(5).trim();
    }
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("The connection broke off.", response.headers.get("x-request-id"));
  } finally {
    await reader.cancel().catch(() => null);
  }
}
