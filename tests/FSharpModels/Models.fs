// Models as F# users of TorchSharp write them: modules called with -->, closures, records, folds over lists.
namespace TorchBridge.FSharpModels

open System
open TorchSharp
open type TorchSharp.torch.nn

type Config =
    { Inputs: int64
      Hidden: int64
      Layers: int
      Classes: int64 }

type Statistics =
    { Mean: torch.Tensor
      Spread: torch.Tensor }

/// The convolutional network of TorchSharp's F# examples.
type DigitNet() as this =
    inherit Module<torch.Tensor, torch.Tensor>("digits")

    let conv1 = Conv2d(1L, 4L, 3L)
    let conv2 = Conv2d(4L, 8L, 3L)
    let fc1 = Linear(8L * 5L * 5L, 16L)
    let fc2 = Linear(16L, 10L)
    let pool1 = MaxPool2d([| 2L; 2L |])
    let relu = ReLU()
    let dropout1 = Dropout(0.25)
    let flatten = Flatten()
    let logsm = LogSoftmax(1L)

    do this.RegisterComponents()

    override _.forward(input) =
        input
        --> conv1
        --> relu
        --> conv2
        --> relu
        --> pool1
        --> dropout1
        --> flatten
        --> fc1
        --> relu
        --> fc2
        --> logsm

module private Helpers =
    let standardize (x: torch.Tensor) =
        let mean = x.mean([| -1L |], true)
        let spread = (x - mean).pow(2.0.ToScalar()).mean([| -1L |], true).sqrt ()
        { Mean = mean; Spread = spread }

    let rec repeat times (f: torch.Tensor -> torch.Tensor) x =
        if times = 0 then x else repeat (times - 1) f (f x)

/// Closures, records, options, a fold over layers, partial application, a pipeline.
type Tagger(config: Config) as this =
    inherit Module<torch.Tensor, torch.Tensor * torch.Tensor>("tagger")

    let embed = Linear(config.Inputs, config.Hidden)

    let layers =
        [ for _ in 1 .. config.Layers -> Linear(config.Hidden, config.Hidden) ]

    let head = Linear(config.Hidden, config.Classes)
    let attention = Linear(config.Hidden, 1L)
    let scale = 1.0 / Math.Sqrt(float config.Hidden)

    do
        this.RegisterComponents()
        layers |> List.iteri (fun i layer -> this.register_module (sprintf "layer%d" i, layer))

    override _.forward(x) =
        let residual (layer: Modules.Linear) (value: torch.Tensor) =
            value + torch.tanh (value --> layer) * (scale.ToScalar())

        let hidden =
            layers |> List.fold (fun value layer -> residual layer value) (x --> embed)

        let { Mean = mean; Spread = spread } = Helpers.standardize hidden

        let normalized =
            (hidden - mean) / (spread + (1e-5).ToScalar())
            |> Helpers.repeat 2 (fun value -> value.relu () + value * (0.5).ToScalar())

        let weights = (normalized --> attention).softmax (1L)
        let pooled = (weights * normalized).sum ([| 1L |])

        let logits =
            match config.Classes with
            | 1L -> (pooled --> head).squeeze (-1L)
            | _ -> pooled --> head

        logits, weights.squeeze (-1L)
