// What was spoken on this page, kept in the browser (IndexedDB) and nowhere else.

const KEPT = 50;

function open() {
  return new Promise((done, failed) => {
    const request = indexedDB.open("ishowtts", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("speech", { keyPath: "id", autoIncrement: true });
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error);
  });
}

async function run(mode, work) {
  const base = await open();
  try {
    return await new Promise((done, failed) => {
      const transaction = base.transaction("speech", mode);
      const request = work(transaction.objectStore("speech"));
      transaction.oncomplete = () => done(request?.result);
      transaction.onerror = transaction.onabort = () => failed(transaction.error);
    });
  } finally {
    base.close();
  }
}

/** Newest first. */
export const entries = async () => (await run("readonly", (store) => store.getAll())).reverse();

/** @param {{when: number, request: Object, seed: string, seconds: number, rate: number, blob: Blob, words:
 *  import("./reading.js").Word[]}} entry */
export async function keep(entry) {
  await run("readwrite", (store) => store.add(entry));
  const old = (await run("readonly", (store) => store.getAllKeys())).slice(0, -KEPT);
  for (const id of old) await forget(id);
}

export const forget = (id) => run("readwrite", (store) => store.delete(id));
export const forgetAll = () => run("readwrite", (store) => store.clear());
