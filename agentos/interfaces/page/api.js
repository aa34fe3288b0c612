// The system's API. The key lives in this tab's session storage and is sent with every request, never in an address.

const KEY = "agentos-key";
const SESSION = "agentos-session";

/** What the system said no with: `status` of HTTP, `kind` of the error. */
export class ApiError extends Error {
  constructor(message, status, kind) {
    super(message);
    this.status = status;
    this.kind = kind;
  }
}

export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  keep: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

/** The name under which approvals "for this session" would hold, one for each tab. */
export function session() {
  let name = sessionStorage.getItem(SESSION);
  if (!name) {
    const bytes = Array.from(crypto.getRandomValues(new Uint8Array(6)));
    name = "page-" + bytes.map((one) => one.toString(16).padStart(2, "0")).join("");
    sessionStorage.setItem(SESSION, name);
  }
  return name;
}

/** One request and its JSON. Throws an `ApiError`, also where no system answers. */
export async function request(method, path, body) {
  const response = await send(method, path, body, "application/json");
  return response.json();
}

/** The events of a run as they come; the last one is `end`. */
export async function* events(path, body) {
  const response = await send("POST", path, { ...body, session: session() }, "application/x-ndjson");
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let kept = "";
  for (;;) {
    const { done, value } = await reader.read().catch(() => ({ done: true }));
    kept += value ? decoder.decode(value, { stream: true }) : "";
    const lines = kept.split("\n");
    kept = lines.pop();
    for (const line of lines) {
      if (line.trim()) {
        const event = JSON.parse(line);
        yield event;
        if (event.event === "end") return;
      }
    }
    if (done) throw new ApiError("", 0, "cut");
  }
}

async function send(method, path, body, accept) {
  const headers = { accept, authorization: `Bearer ${key.get()}` };
  const data = body === undefined ? undefined : JSON.stringify(body);
  if (data !== undefined) headers["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, body: data, cache: "no-store", credentials: "omit" });
  } catch {
    throw new ApiError("", 0, "away");
  }
  if (response.ok) return response;
  const said = await response.json().catch(() => null);
  const message = said?.error?.message ?? `HTTP ${response.status}`;
  const error = new ApiError(message, response.status, said?.error?.type ?? "failed");
  if (response.status === 401) document.dispatchEvent(new CustomEvent("locked", { detail: error.message }));
  throw error;
}
