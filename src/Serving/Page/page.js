'use strict';
(() => {
    const $ = id => document.getElementById(id);
    const base = document.documentElement.dataset.base;
    const mostBytes = Number('{{bytes}}');
    const percent = value => `${(100 * value).toFixed(1)} %`;
    let last = { name: 'picture.jpg' };
    let track = null;
    let work = 0;

    // Names of classes and files are untrusted data, so they become text nodes and never HTML.
    const make = (tag, attributes = {}, ...children) => {
        const element =
            tag === 'svg' || tag === 'rect'
                ? document.createElementNS('http://www.w3.org/2000/svg', tag)
                : document.createElement(tag);
        for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
        element.append(...children);
        return element;
    };
    const bar = value =>
        make(
            'svg',
            { class: 'bar', viewBox: '0 0 100 8', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
            make('rect', { width: (100 * value).toFixed(2), height: '8' }),
        );
    const headings = (...names) =>
        make(
            'thead',
            {},
            make(
                'tr',
                {},
                ...names.map(([name, kind]) =>
                    make('th', kind ? { scope: 'col', class: kind } : { scope: 'col' }, name),
                ),
            ),
        );
    const problem = text => {
        $('problem').textContent = text;
    };

    const classify = async (blob, name) => {
        if (blob.size > mostBytes)
            throw new Error(
                `${name} has ${(blob.size / 1048576).toFixed(1)} MB; at most ${(mostBytes / 1048576).toFixed(0)} MB are allowed.`,
            );
        const response = await fetch(`${base}/classify?details=true&model=${encodeURIComponent($('model').value)}`, {
            method: 'POST',
            body: blob,
            headers: { 'Content-Type': 'application/octet-stream' },
        }).catch(() => {
            throw new Error('The server does not respond.');
        });
        const answer = await response
            .json()
            .catch(() => ({ error: `The server responded with status ${response.status}.` }));
        if (!response.ok) throw new Error(answer.error);
        return answer;
    };

    const showOne = (answer, name) => {
        const rows = answer.top.map(item =>
            make(
                'tr',
                {},
                make('td', { class: 'number' }, String(item.rank)),
                make('th', { scope: 'row' }, item.label),
                make('td', { class: 'number' }, percent(item.probability)),
                make('td', { class: 'bar' }, bar(item.probability)),
            ),
        );
        const times = answer.times;
        const phases = [
            ['Decode and resize', times.decode],
            ['Wait in the queue', times.queue],
            ['Run', times.run],
            ['Total on the server', times.total],
        ];
        const result = make(
            'div',
            {},
            make('p', { class: 'answer' }, `${answer.label}, ${percent(answer.probability)}`),
            make('p', {}, `${name}, by ${answer.model} version ${answer.version}`),
            ...(answer.probability < 0.5
                ? [make('p', {}, 'The network is not sure: no class reaches a probability of 50 %.')]
                : []),
            make(
                'div',
                { class: 'columns' },
                make(
                    'table',
                    {},
                    make('caption', {}, 'Most probable classes'),
                    headings(['Rank', 'number'], ['Class'], ['Probability', 'number'], ['Bar']),
                    make('tbody', {}, ...rows),
                ),
                make(
                    'figure',
                    { class: 'seen' },
                    make('img', {
                        src: `data:image/png;base64,${answer.seen}`,
                        alt: 'The picture as the network saw it',
                    }),
                    make('figcaption', {}, 'As the network saw it'),
                ),
            ),
            make('h3', {}, 'Time'),
            make(
                'table',
                { class: 'times' },
                make('caption', {}, `In milliseconds, in a batch of ${times.batch_rows}`),
                headings(['Phase'], ['ms', 'number']),
                make(
                    'tbody',
                    {},
                    ...phases.map(([phase, ms]) =>
                        make(
                            'tr',
                            {},
                            make('th', { scope: 'row' }, phase),
                            make('td', { class: 'number' }, ms.toFixed(2)),
                        ),
                    ),
                ),
            ),
        );
        $('result').replaceChildren(result);
        showMap(answer);
    };

    const showMap = answer => {
        const map = answer.activation_map;
        $('map').hidden = !map;
        if (!map) return;
        $('map-picture').src = `data:image/png;base64,${answer.seen}`;
        const canvas = $('map-canvas');
        canvas.height = map.length;
        canvas.width = map[0].length;
        const context = canvas.getContext('2d');
        const pixels = context.createImageData(canvas.width, canvas.height);
        map.flat().forEach((value, i) =>
            pixels.data.set([255, Math.round(200 * value), 0, Math.round(255 * value)], 4 * i),
        );
        context.putImageData(pixels, 0, 0);
        canvas.style.opacity = $('opacity').value / 100;
    };

    // A spreadsheet would treat a cell that begins with one of these characters as a formula.
    const cell = text => `"${(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;

    const showMany = rows => {
        const body = rows.map(row =>
            make(
                'tr',
                {},
                make('th', { scope: 'row' }, row.name),
                ...(row.error
                    ? [make('td', { colspan: '2', class: 'problem' }, row.error)]
                    : [make('td', {}, row.label), make('td', { class: 'number' }, percent(row.probability))]),
            ),
        );
        const csv = [
            'file,class,probability,error',
            ...rows.map(row =>
                [cell(row.name), cell(row.label ?? ''), row.error ? '' : row.probability, cell(row.error ?? '')].join(
                    ',',
                ),
            ),
        ].join('\r\n');
        const link = make(
            'a',
            { href: URL.createObjectURL(new Blob([csv, '\r\n'], { type: 'text/csv' })), download: 'predictions.csv' },
            'Download as CSV',
        );
        $('result').replaceChildren(
            make(
                'table',
                {},
                make('caption', {}, `${rows.length} pictures`),
                headings(['File'], ['Class'], ['Probability', 'number']),
                make('tbody', {}, ...body),
            ),
            make('p', {}, link),
        );
        $('map').hidden = true;
    };

    const run = async files => {
        if (files.length === 0) return;
        const mine = ++work; // a newer selection replaces an older one
        problem('');
        last = { name: files[0].name || 'picture.jpg' };
        const rows = [];
        for (const file of files) {
            const name = file.name || 'picture';
            $('progress').textContent =
                files.length > 1 ? `Classifying ${rows.length + 1} of ${files.length}…` : 'Classifying…';
            try {
                const answer = await classify(file, name);
                if (mine !== work) return;
                rows.push({ name, label: answer.label, probability: answer.probability, answer });
            } catch (error) {
                if (mine !== work) return;
                rows.push({ name, error: error.message });
            }
        }
        $('progress').textContent = '';
        if (rows.length > 1) showMany(rows);
        else if (rows[0].error) {
            $('result').replaceChildren();
            $('map').hidden = true;
            problem(rows[0].error);
        } else showOne(rows[0].answer, rows[0].name);
        $('code').hidden = false;
        $('snippet').textContent = '';
    };

    const pictures = list => [...list].filter(item => item instanceof Blob);

    $('form').addEventListener('submit', event => {
        event.preventDefault();
        const example = event.submitter?.name === 'example' ? event.submitter : null;
        if (example) {
            fetch(example.querySelector('img').src)
                .then(response => response.blob())
                .then(blob =>
                    run([new File([blob], `example-${Number(example.value) + 1}.png`, { type: 'image/png' })]),
                )
                .catch(() => problem('The server does not respond.'));
        } else if ($('picture').files.length === 0) problem('Choose a picture first.');
        else run(pictures($('picture').files));
    });
    $('picture').addEventListener('change', () => run(pictures($('picture').files)));
    $('model').addEventListener('change', () => {
        for (const list of document.querySelectorAll('.examples')) {
            list.hidden = list.dataset.model !== $('model').value;
            list.disabled = list.hidden;
        }
        run(pictures($('picture').files));
    });

    const drop = $('drop');
    for (const name of ['dragenter', 'dragover'])
        drop.addEventListener(name, event => {
            event.preventDefault();
            drop.classList.add('over');
        });
    for (const name of ['dragleave', 'drop']) drop.addEventListener(name, () => drop.classList.remove('over'));
    drop.addEventListener('drop', event => {
        event.preventDefault();
        run(pictures(event.dataTransfer.files));
    });
    // Outside the drop zone, a dropped file would replace the page.
    for (const name of ['dragover', 'drop']) window.addEventListener(name, event => event.preventDefault());
    document.addEventListener('paste', event => {
        const files = pictures(event.clipboardData?.files ?? []);
        if (files.length > 0) run(files);
    });

    const closeCamera = () => {
        track?.getTracks().forEach(item => item.stop());
        track = null;
        $('video').srcObject = null;
        $('viewfinder').hidden = true;
        $('shoot').disabled = true;
        $('camera').focus();
    };
    $('camera').addEventListener('click', async () => {
        problem('');
        try {
            track = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
            $('video').srcObject = track;
            $('viewfinder').hidden = false;
            await $('video').play();
            $('shoot').disabled = false;
            $('shoot').focus();
        } catch (error) {
            problem(
                error.name === 'NotAllowedError'
                    ? 'The browser does not allow access to the camera. Choose a file instead.'
                    : 'No usable camera was found. Choose a file instead.',
            );
        }
    });
    $('shoot').addEventListener('click', () => {
        const canvas = make('canvas', { width: $('video').videoWidth, height: $('video').videoHeight });
        canvas.getContext('2d').drawImage($('video'), 0, 0);
        closeCamera();
        canvas.toBlob(blob => run([new File([blob], 'photo.png', { type: 'image/png' })]), 'image/png');
    });
    $('stop').addEventListener('click', closeCamera);
    $('opacity').addEventListener('input', () => {
        $('map-canvas').style.opacity = $('opacity').value / 100;
    });

    const quoted = text => `'${text.replaceAll("'", `'\\''`)}'`;
    const address = () => `${location.origin}${base}/classify?model=${encodeURIComponent($('model').value)}`;
    const snippets = {
        curl: () => `curl --data-binary @${quoted(last.name)} ${quoted(address())}`,
        csharp: () =>
            [
                'using var client = new HttpClient();',
                `var bytes = await File.ReadAllBytesAsync(${JSON.stringify(last.name)});`,
                'using var picture = new ByteArrayContent(bytes);',
                `using var answer = await client.PostAsync(new Uri(${JSON.stringify(address())}), picture);`,
                'Console.WriteLine(await answer.Content.ReadAsStringAsync());',
            ].join('\n'),
    };
    const copy = async kind => {
        $('snippet').textContent = snippets[kind]();
        await navigator.clipboard?.writeText($('snippet').textContent).then(
            () => {
                $('copied').textContent = 'Copied.';
            },
            () => {
                $('copied').textContent = 'Select and copy the text below.';
            },
        );
    };
    $('copy-curl').addEventListener('click', () => copy('curl'));
    $('copy-csharp').addEventListener('click', () => copy('csharp'));

    for (const element of document.querySelectorAll('.scripted'))
        element.hidden = element.id === 'code' || (element.id === 'camera' && !navigator.mediaDevices);
})();
