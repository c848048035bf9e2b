/**
 * Keys of this browser, in IndexedDB: stored as CryptoKey, so none can be read out.
 * @module
 */

const DATABASE = "doorward";
const STORE = "keys";

/** @param {string} name @returns {Promise<any>} whatever was stored; callers name the type */
export async function readKey(name) {
  return run("readonly", (store) => store.get(name));
}

/** @param {string} name @param {unknown} value */
export async function writeKey(name, value) {
  await run("readwrite", (store) => store.put(value, name));
}

/**
 * Stores a value unless there is one already; returns what is stored then. Two windows that both
 * make a key at the same moment end with the same one.
 * @param {string} name @param {unknown} value @returns {Promise<any>} callers name the type
 */
export async function keepKey(name, value) {
  const database = await settle(openDatabase());
  try {
    const store = database.transaction(STORE, "readwrite").objectStore(STORE);
    const kept = await settle(store.get(name));
    if (kept !== undefined) return kept;
    await settle(store.put(value, name));
    return value;
  } finally {
    database.close();
  }
}

/** @param {string} name */
export async function deleteKey(name) {
  await run("readwrite", (store) => store.delete(name));
}

/**
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => IDBRequest} action
 */
async function run(mode, action) {
  const database = await settle(openDatabase());
  try {
    return await settle(action(database.transaction(STORE, mode).objectStore(STORE)));
  } finally {
    database.close();
  }
}

function openDatabase() {
  const opening = indexedDB.open(DATABASE, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
  return opening;
}

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
function settle(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
